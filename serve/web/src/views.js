// views.js - what the result section draws on: three linked 3D views of the surfaces and one canvas of linked slices.
import { NVMesh } from '@niivue/niivue'
import { Slices } from './slices.js'
import { BONE, DIRECTIONS, IMPLANT, NO_CUT, Surfaces, boundsOf, hasFaces } from './surfaces.js'

const TURN_DEG = 5

// Which surfaces each view shows, and how.
const SCENES = {
  defective: [{ file: 'skull.ply', paint: BONE }],
  completed: [{ file: 'completed.ply', paint: BONE }],
  implant: [
    { file: 'implant.ply', paint: IMPLANT, role: 'implant' },
    { file: 'skull.ply', paint: BONE, role: 'skull' },
  ],
}

// Everything the result section draws on; made once, filled anew for each job.
export class Views {
  // panels: { defective, completed, implant, slices }, each { canvas, marks: { left, right, top, bottom } } (no marks for slices)
  static async open(panels) {
    const views = new Views()
    views.slices = new Slices(panels.slices.canvas)
    views.scenes = Object.fromEntries(Object.keys(SCENES).map((name) => [name, new Surfaces(panels[name].canvas, panels[name].marks)]))
    await Promise.all([...Object.values(views.scenes), views.slices].map((view) => view.attach()))
    views.link()
    return views
  }

  link() {
    const all = Object.values(this.scenes)
    for (const scene of all) {
      scene.nv.scene.onAzimuthElevationChange = (azimuth, elevation) => this.turnTo(azimuth, elevation)
      scene.nv.onZoom3DChange = (zoom) => this.zoomTo(zoom)
      scene.nv.onLocationChange = ({ mm }) => this.point(mm, scene)
      scene.canvas.parentElement.addEventListener('keydown', (event) => this.keyOnScene(event, scene), true)
    }
    this.slices.nv.onLocationChange = ({ mm }) => this.point(mm, this.slices)
    this.slices.canvas.parentElement.addEventListener('keydown', (event) => this.keyOnSlices(event), true)
    for (const view of [...all, this.slices]) {
      const area = view.canvas.parentElement
      area.addEventListener('pointerdown', () => view.canvas.focus({ preventScroll: true }), true)
      area.addEventListener('wheel', (event) => this.wheel(event, view), { capture: true, passive: false })
    }
  }

  // files: ArrayBuffers by name: skull.ply, completed.ply, implant.ply (absent when empty), skull, implant (NIfTI masks), ct (of a CT).
  // turned: the skull stays as the user turned it.
  async show(files, turned = false) {
    const [azimuth, elevation] = [this.scenes.implant.nv.scene.renderAzimuth, this.scenes.implant.nv.scene.renderElevation]
    this.clear()
    const surfaces = {}
    const { gl } = this.scenes.defective.nv
    for (const name of ['skull.ply', 'completed.ply', 'implant.ply']) {
      if (files[name] && hasFaces(files[name])) surfaces[name] = await NVMesh.readMesh(files[name], name, gl)
    }
    this.bounds = boundsOf([surfaces['skull.ply'], surfaces['completed.ply']].filter(Boolean))
    this.target = surfaces['implant.ply'] ? boundsOf([surfaces['implant.ply']]).centre : this.bounds.centre
    for (const [name, parts] of Object.entries(SCENES)) {
      for (const part of parts) if (surfaces[part.file]) this.scenes[name].add(surfaces[part.file], part, this.bounds)
    }
    await this.slices.show(files)
    if (turned) this.turnTo(azimuth, elevation)
    else this.look('implant')
    this.point(this.target)
  }

  clear() {
    this.at = null
    for (const scene of Object.values(this.scenes)) scene.clear()
    this.slices.clear()
  }

  // One drawing per frame, however many changes come together.
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined
      for (const scene of Object.values(this.scenes)) scene.draw()
      this.slices.draw()
    })
  }

  background(rgb) {
    for (const { nv } of Object.values(this.scenes)) nv.opts.backColor = [...rgb, 1]
    this.draw()
  }

  turnTo(azimuth, elevation) {
    for (const scene of Object.values(this.scenes)) {
      scene.nv.scene.sceneData.azimuth = azimuth // past the setters, which would report it back
      scene.nv.scene.sceneData.elevation = elevation
    }
    this.draw()
  }

  zoomTo(zoom) {
    for (const scene of Object.values(this.scenes)) scene.nv.scene.sceneData.volScaleMultiplier = zoom
    this.draw()
  }

  // 'implant' looks at the implant from where it faces.
  look(direction) {
    const [azimuth, elevation] = DIRECTIONS[direction] ?? this.towards()
    this.zoomTo(1)
    this.turnTo(azimuth, elevation)
  }

  towards() {
    const [x, y, z] = this.target.map((value, axis) => value - this.bounds.centre[axis])
    const deg = 180 / Math.PI
    const azimuth = 180 + Math.atan2(x, y) * deg
    return [(azimuth + 360) % 360, Math.max(-20, Math.min(65, Math.atan2(z, Math.hypot(x, y)) * deg))]
  }

  // Moves every crosshair to a point of the world; `from` is where it moved already. Every drawing reports the point again: only a
  // new one counts.
  point([x, y, z], from) {
    const SAME_MM = 0.01
    const mm = [x, y, z]
    if (this.at && mm.every((value, axis) => Math.abs(value - this.at[axis]) < SAME_MM)) return
    this.at = mm
    for (const view of [...Object.values(this.scenes), this.slices]) {
      if (view !== from) view.nv.scene.crosshairPos = view.nv.mm2frac(mm)
    }
    this.draw()
  }

  skullOpacity(value) {
    this.scenes.implant.opacity('skull', value)
    this.draw()
  }

  implantOpacity(value) {
    this.scenes.implant.opacity('implant', value)
    this.slices.opacity('implant', value)
    this.draw()
  }

  // side: left, right, front, back, top, bottom or none; depth 0..1 of the skull is removed from that side.
  cut(side, depth) {
    const axis = { right: 0, left: 0, front: 1, back: 1, top: 2, bottom: 2 }[side]
    let plane = NO_CUT
    if (axis !== undefined) {
      const sign = ['right', 'front', 'top'].includes(side) ? 1 : -1
      const [near, far] = sign > 0 ? [this.bounds.high[axis], this.bounds.low[axis]] : [this.bounds.low[axis], this.bounds.high[axis]]
      plane = [0, 0, 0, sign * (near + depth * (far - near))]
      plane[axis] = sign
    }
    for (const scene of Object.values(this.scenes)) scene.cut(plane)
    this.draw()
  }

  // Over a view that was not clicked the wheel scrolls the page. In a clicked one it zooms the skull, towards the viewer when it is
  // turned away from the user, or steps through the slices.
  wheel(event, view) {
    if (document.activeElement !== view.canvas) {
      event.stopPropagation()
      return
    }
    if (view === this.slices) return // NiiVue's own
    event.stopPropagation()
    event.preventDefault()
    const { volScaleMultiplier: zoom } = view.nv.scene
    this.zoomTo(Math.max(0.5, Math.min(8, zoom * 1.1 ** -Math.sign(event.deltaY))))
  }

  keyOnScene(event, { nv }) {
    const { renderAzimuth: azimuth, renderElevation: elevation, volScaleMultiplier: zoom } = nv.scene
    const turns = { ArrowLeft: [TURN_DEG, 0], ArrowRight: [-TURN_DEG, 0], ArrowUp: [0, TURN_DEG], ArrowDown: [0, -TURN_DEG] }
    const zooms = { '+': 1.1, '=': 1.1, '-': 1 / 1.1 }
    event.stopPropagation() // NiiVue's own keys are other ones
    if (turns[event.key]) this.turnTo(azimuth + turns[event.key][0], Math.max(-90, Math.min(90, elevation + turns[event.key][1])))
    else if (zooms[event.key]) this.zoomTo(Math.max(0.5, Math.min(8, zoom * zooms[event.key])))
    else if (event.key === 'Home') this.look('implant')
    else return
    event.preventDefault()
  }

  keyOnSlices(event) {
    const steps = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] }
    event.stopPropagation()
    if (event.key === 'Home') this.point(this.target)
    else if (steps[event.key]) this.slices.nv.moveCrosshairInVox(...steps[event.key])
    else return
    event.preventDefault()
  }
}
