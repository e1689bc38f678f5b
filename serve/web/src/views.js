// views.js - three linked 3D views of the surfaces and one canvas of linked slices, drawn by NiiVue. Everything lies in the volume's
// world frame, RAS millimetres; the letters at a view's edges are computed from the very matrix that draws it.
import { NVImage, NVMesh, Niivue, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue'
import { cutShader, surfaceShader } from './shaders.js'
import { thinVolume } from './volume.js'

// From data/picture/colours.h, by build.mjs.
const BONE = COLOUR_BONE
const IMPLANT = COLOUR_IMPLANT
const NO_CUT = [0, 0, 0, 1]
const TURN_DEG = 5
const QUIET = {
  dragAndDropEnabled: false,
  scrollRequiresFocus: true,
  loadingText: '',
  logLevel: 'error',
  crosshairWidthUnit: 'mm',
  crosshairColor: [0.34, 0.71, 0.91, 0.9],
}

// Which surfaces each view shows, and how.
const SCENES = {
  defective: [{ file: 'skull.ply', paint: BONE }],
  completed: [{ file: 'completed.ply', paint: BONE }],
  implant: [
    { file: 'implant.ply', paint: IMPLANT, role: 'implant' },
    { file: 'skull.ply', paint: BONE, role: 'skull' },
  ],
}

export const DIRECTIONS = { front: [180, 8], back: [0, 8], right: [270, 8], left: [90, 8], top: [180, 89], implant: null }

const LETTERS = [['R', 'L'], ['A', 'P'], ['S', 'I']]

// The letter of the world axis that runs most along one row of the projection: [towards growing, towards falling].
function letters(mvp, row) {
  const along = [0, 1, 2].map((axis) => mvp[4 * axis + row])
  const axis = along.reduce((best, value, i) => (Math.abs(value) > Math.abs(along[best]) ? i : best), 0)
  return along[axis] > 0 ? LETTERS[axis] : [...LETTERS[axis]].reverse()
}

// The surface of an empty implant has none, and NiiVue refuses it.
const hasFaces = (ply) => !/element face 0\n/.test(new TextDecoder('latin1').decode(ply.slice(0, 512)))

function flipped(tris) {
  const out = new Uint32Array(tris.length)
  for (let i = 0; i < tris.length; i += 3) {
    out[i] = tris[i]
    out[i + 1] = tris[i + 2]
    out[i + 2] = tris[i + 1]
  }
  return out
}

function boundsOf(meshes) {
  const low = [Infinity, Infinity, Infinity]
  const high = [-Infinity, -Infinity, -Infinity]
  for (const { pts } of meshes) {
    for (let i = 0; i < pts.length; i++) {
      low[i % 3] = Math.min(low[i % 3], pts[i])
      high[i % 3] = Math.max(high[i % 3], pts[i])
    }
  }
  return { low, high, centre: low.map((value, axis) => (value + high[axis]) / 2) }
}

// On a small screen all views but one are hidden, and drawn when they are shown.
const seen = (canvas) => getComputedStyle(canvas).visibility !== 'hidden'

class Surfaces {
  constructor(canvas, marks) {
    this.canvas = canvas
    this.marks = marks
    this.parts = []
    this.nv = new Niivue({
      ...QUIET,
      sliceType: SLICE_TYPE.RENDER,
      isDepthPickMesh: true,
      show3Dcrosshair: true,
      crosshairWidth: 1,
    })
  }

  async attach() {
    await this.nv.attachToCanvas(this.canvas)
    this.surface = this.nv.setCustomMeshShader(surfaceShader, 'surface')
    this.section = this.nv.setCustomMeshShader(cutShader, 'section')
    this.cut(NO_CUT)
  }

  clear() {
    for (const { mesh, inside } of this.parts) {
      this.nv.removeMesh(mesh)
      if (inside) this.nv.removeMesh(inside)
    }
    this.parts = []
  }

  add({ pts, tris }, { paint, role }, bounds) {
    this.parts.push({ role, bounds, mesh: this.make(pts, tris, paint, bounds, this.surface) })
  }

  make(pts, tris, paint, bounds, shader) {
    const mesh = new NVMesh(pts, tris, '', new Uint8Array(paint), 1, true, this.nv.gl)
    mesh.meshShaderIndex = shader
    mesh.extentsMin = bounds.low // the same for all views, so that they show the same scale
    mesh.extentsMax = bounds.high
    this.nv.meshes.push(mesh)
    return mesh
  }

  opacity(role, value) {
    for (const part of this.parts) {
      if (part.role !== role) continue
      part.mesh.opacity = value
      if (part.inside) part.inside.opacity = value
    }
  }

  cut(plane) {
    const { gl } = this.nv
    for (const index of [this.surface, this.section]) {
      const { program, uniforms } = this.nv.meshShaders[index].shader
      gl.useProgram(program)
      gl.uniform4fv(uniforms.cut, plane)
    }
    for (const part of this.parts) {
      const { mesh } = part
      if (plane !== NO_CUT && !part.inside) part.inside = this.make(mesh.pts, flipped(mesh.tris), mesh.rgba255, part.bounds, this.section)
      if (part.inside) [part.inside.visible, part.inside.opacity] = [plane !== NO_CUT, mesh.opacity]
    }
  }

  draw() {
    if (!seen(this.canvas)) return
    this.nv.drawScene()
    if (this.parts.length) this.mark()
  }

  mark() {
    const { renderAzimuth, renderElevation } = this.nv.scene
    const [mvp] = this.nv.calculateMvpMatrix(null, [0, 0, 0, 0], renderAzimuth, renderElevation)
    ;[this.marks.right.textContent, this.marks.left.textContent] = letters(mvp, 0)
    ;[this.marks.top.textContent, this.marks.bottom.textContent] = letters(mvp, 1)
  }
}

class Slices {
  constructor(canvas) {
    this.canvas = canvas
    this.nv = new Niivue({
      ...QUIET,
      backColor: [0, 0, 0, 1],
      sliceType: SLICE_TYPE.MULTIPLANAR,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      multiplanarPadPixels: 24,
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      showAllOrientationMarkers: true,
      fontColor: [0.75, 0.8, 0.85, 1],
      fontSizeScaling: 0.5,
      crosshairWidth: 0.7,
    })
  }

  async attach() {
    await this.nv.attachToCanvas(this.canvas)
    const ramp = (paint) => ({ R: [0, paint[0]], G: [0, paint[1]], B: [0, paint[2]], A: [0, 255], I: [0, 255] })
    this.nv.addColormap('bone_mask', ramp(BONE))
    this.nv.addColormap('implant_mask', ramp(IMPLANT))
  }

  clear() {
    while (this.nv.volumes.length) this.nv.removeVolume(this.nv.volumes.at(-1))
  }

  async add(buffer, name, colormap) {
    const image = await NVImage.loadFromUrl({ url: buffer, name: `${name}.nii`, colormap, cal_min: 0, cal_max: 1 })
    this.nv.addVolume(image)
  }

  opacity(value) {
    if (this.nv.volumes.length > 1) this.nv.setOpacity(1, value)
  }

  draw() {
    if (seen(this.canvas)) this.nv.drawScene()
  }
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

  // files: ArrayBuffers by name: skull.ply, completed.ply, implant.ply (absent when empty), skull, implant (NIfTI masks).
  async show(files) {
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
    await this.slices.add(await thinVolume(files.skull), 'skull', 'bone_mask')
    await this.slices.add(await thinVolume(files.implant), 'implant', 'implant_mask')
    this.look('implant')
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
    this.slices.opacity(value)
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
