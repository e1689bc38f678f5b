// surfaces.js - one 3D view of surfaces, drawn by NiiVue. Everything lies in the volume's world frame, RAS millimetres; the letters at a
// view's edges are computed from the very matrix that draws it.
import { NVMesh, Niivue, SLICE_TYPE } from '@niivue/niivue'
import { cutShader, surfaceShader } from './shaders.js'

// From data/picture/colours.h, by build.mjs.
export const BONE = COLOUR_BONE
export const IMPLANT = COLOUR_IMPLANT
export const SECOND = [86, 180, 233, 255] // a second implant
export const NO_CUT = [0, 0, 0, 1]
export const QUIET = {
  dragAndDropEnabled: false,
  scrollRequiresFocus: true,
  loadingText: '',
  logLevel: 'error',
  crosshairWidthUnit: 'mm',
  crosshairColor: [0.34, 0.71, 0.91, 0.9],
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
export const hasFaces = (ply) => !/element face 0\n/.test(new TextDecoder('latin1').decode(ply.slice(0, 512)))

function flipped(tris) {
  const out = new Uint32Array(tris.length)
  for (let i = 0; i < tris.length; i += 3) {
    out[i] = tris[i]
    out[i + 1] = tris[i + 2]
    out[i + 2] = tris[i + 1]
  }
  return out
}

export function boundsOf(meshes) {
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
export const seen = (canvas) => getComputedStyle(canvas).visibility !== 'hidden'

export class Surfaces {
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
