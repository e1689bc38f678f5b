// slices.js - linked slices of one skull, drawn by NiiVue: grey values of the CT, bone, implant, a second implant, and labels painted
// by hand. Window, layout, measuring and painting are NiiVue's own.
import { DRAG_MODE, NVImage, Niivue, SHOW_RENDER, SLICE_TYPE, cmapper } from '@niivue/niivue'
import { BONE, IMPLANT, QUIET, SECOND, seen } from './surfaces.js'
import { thinVolume } from './volume.js'

const LAYOUTS = { all: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL }
const MODES = { point: DRAG_MODE.crosshair, window: DRAG_MODE.windowing, distance: DRAG_MODE.measurement, angle: DRAG_MODE.angle }
const ACROSS = [2, 1, 0] // the axis across an axial, a coronal, a sagittal slice

export class Slices {
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
      measureLineColor: [1, 0.85, 0.2, 1],
      measureTextColor: [1, 0.85, 0.2, 1],
      measureTextHeight: 0.04,
      maxDrawUndoBitmaps: 1, // undoing is labels.js's
    })
    // Clearing draws too, when the view may have no room: NiiVue would take its padding off nothing.
    const drawScene = this.nv.drawScene.bind(this.nv)
    const least = 4 * this.nv.opts.multiplanarPadPixels
    this.nv.drawScene = () => {
      if (this.nv.volumes.length && canvas.width > least && canvas.height > least) drawScene()
    }
  }

  async attach() {
    await this.nv.attachToCanvas(this.canvas)
    const ramp = (paint) => ({ R: [0, paint[0]], G: [0, paint[1]], B: [0, paint[2]], A: [0, 255], I: [0, 255] })
    this.nv.addColormap('bone_mask', ramp(BONE))
    this.nv.addColormap('implant_mask', ramp(IMPLANT))
    this.nv.addColormap('second_mask', ramp(SECOND))
    // none, add, remove, allow, exclude
    const labels = ['', 'add', 'erase', 'allowed', 'excluded']
    this.nv.drawLut = cmapper.makeDrawLut({ R: [0, 80, 230, 60, 160], G: [0, 220, 60, 140, 60], B: [0, 120, 60, 255, 200], A: [0, 255, 255, 255, 255], labels })
    this.nv.drawOpacity = 0.6
  }

  clear() {
    this.painting(null)
    this.nv.closeDrawing()
    this.nv.clearAllMeasurements()
    while (this.nv.volumes.length) this.nv.removeVolume(this.nv.volumes.at(-1))
    this.layers = {}
  }

  // files: ArrayBuffers: ct (or none), skull, implant, second (or none).
  async show(files) {
    for (const [name, colormap] of [['ct', 'gray'], ['skull', 'bone_mask'], ['implant', 'implant_mask'], ['second', 'second_mask']]) {
      if (!files[name]) continue
      const buffer = name === 'ct' ? files.ct : await thinVolume(files[name])
      const limits = name === 'ct' ? {} : { cal_min: 0, cal_max: 1 }
      const image = await NVImage.loadFromUrl({ url: buffer, name: `${name}.nii${name === 'ct' ? '.gz' : ''}`, colormap, ...limits })
      this.nv.addVolume(image)
      this.layers[name] = this.nv.volumes.length - 1
    }
  }

  get hasCt() {
    return this.layers?.ct !== undefined
  }

  opacity(name, value) {
    const layer = this.layers?.[name]
    if (layer !== undefined) this.nv.setOpacity(layer, value)
  }

  // Hounsfield units: from black to white.
  window(level, width) {
    if (!this.hasCt) return
    const ct = this.nv.volumes[this.layers.ct]
    ct.cal_min = level - width / 2
    ct.cal_max = level + width / 2
    this.nv.updateGLVolume()
  }

  layout(name) {
    this.nv.setSliceType(LAYOUTS[name])
  }

  // What dragging with the first button or a finger does.
  mode(name) {
    this.nv.opts.dragModePrimary = MODES[name]
  }

  clearMeasures() {
    this.nv.clearAllMeasurements()
    this.nv.drawScene()
  }

  // --- painting ---

  get dim() {
    return Array.from(this.nv.back.dims).slice(1, 4) // in the order of the labels
  }

  get spacing() {
    return Array.from(this.nv.back.pixDims).slice(1, 4)
  }

  get labels() {
    return this.nv.drawBitmap
  }

  // pen: { label, size_vox, filled } or null: nothing is painted.
  painting(pen) {
    const { nv } = this
    if (!pen) {
      if (nv.opts.drawingEnabled) nv.setDrawingEnabled(false)
      return
    }
    nv.opts.penSize = pen.size_vox
    nv.setPenValue(pen.label, pen.filled)
    if (!nv.opts.drawingEnabled) nv.setDrawingEnabled(true)
  }

  async loadLabels(buffer) {
    const image = await NVImage.loadFromUrl({ url: buffer, name: 'edit.nii.gz' })
    return this.nv.loadDrawing(image)
  }

  emptyLabels() {
    if (!this.nv.drawBitmap) this.nv.createEmptyDrawing()
  }

  refreshLabels() {
    this.nv.refreshDrawing(true, false)
  }

  // The axis across the slice that is painted on.
  get across() {
    return ACROSS[this.nv.drawPenAxCorSag] ?? 2
  }

  // A .nii of the labels, on the grid of the slices.
  async labelsFile() {
    return this.nv.saveImage({ filename: '', isSaveDrawing: true, volumeByIndex: 0 })
  }

  // The implant's voxels in the order of the labels, and the voxel under the cross.
  get implant() {
    return this.nv.volumes[this.layers.implant].img2RAS()
  }

  get cross() {
    return this.nv.frac2vox(this.nv.scene.crosshairPos)
  }

  draw() {
    if (seen(this.canvas)) this.nv.drawScene()
  }
}
