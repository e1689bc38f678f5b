// pair.js - what the comparison draws on: two linked 3D views and one set of slices with both implants.
import { NVMesh } from '@niivue/niivue'
import { Slices } from './slices.js'
import { BONE, IMPLANT, SECOND, Surfaces, boundsOf, hasFaces } from './surfaces.js'

export class Pair {
  static async open({ first, second, slices }) {
    const pair = new Pair()
    pair.scenes = [new Surfaces(first.canvas, first.marks), new Surfaces(second.canvas, second.marks)]
    pair.slices = new Slices(slices.canvas)
    await Promise.all([...pair.scenes, pair.slices].map((view) => view.attach()))
    for (const { nv } of pair.scenes) {
      nv.scene.onAzimuthElevationChange = (azimuth, elevation) => pair.turnTo(azimuth, elevation)
      nv.onZoom3DChange = (zoom) => pair.zoomTo(zoom)
    }
    return pair
  }

  // sides: [{ skull, implant }, ...]: ArrayBuffers of PLY, implant null where it is empty. files: as Slices.show takes them.
  async show(sides, files) {
    this.clear()
    const { gl } = this.scenes[0].nv
    const read = (buffer, name) => (buffer && hasFaces(buffer) ? NVMesh.readMesh(buffer, name, gl) : null)
    let target = null
    for (const [k, { skull, implant }] of sides.entries()) {
      const [bone, part] = [await read(skull, 'skull.ply'), await read(implant, 'implant.ply')]
      const bounds = boundsOf([bone].filter(Boolean))
      if (part) this.scenes[k].add(part, { paint: k ? SECOND : IMPLANT, role: 'implant' }, bounds)
      if (bone) this.scenes[k].add(bone, { paint: BONE, role: 'skull' }, bounds)
      target ??= part && { at: boundsOf([part]).centre, centre: bounds.centre }
    }
    await this.slices.show(files)
    if (target) this.lookAt(target)
    this.draw()
  }

  lookAt({ at, centre }) {
    const [x, y, z] = at.map((value, axis) => value - centre[axis])
    const deg = 180 / Math.PI
    this.turnTo((180 + Math.atan2(x, y) * deg + 360) % 360, Math.max(-20, Math.min(65, Math.atan2(z, Math.hypot(x, y)) * deg)))
    this.slices.nv.scene.crosshairPos = this.slices.nv.mm2frac(at)
  }

  turnTo(azimuth, elevation) {
    for (const { nv } of this.scenes) {
      nv.scene.sceneData.azimuth = azimuth
      nv.scene.sceneData.elevation = elevation
    }
    this.draw()
  }

  zoomTo(zoom) {
    for (const { nv } of this.scenes) nv.scene.sceneData.volScaleMultiplier = zoom
    this.draw()
  }

  background(rgb) {
    for (const { nv } of this.scenes) nv.opts.backColor = [...rgb, 1]
    this.draw()
  }

  clear() {
    for (const scene of this.scenes) scene.clear()
    this.slices.clear()
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined
      for (const scene of this.scenes) scene.draw()
      this.slices.draw()
    })
  }
}
