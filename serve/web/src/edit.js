// edit.js - an implant changed by hand: strokes on the slices become labels (labels.js), which the server applies to the prediction
// before it makes mesh and report anew.
import { History, LABEL, deepen, erasePiece, nearest, piece } from './labels.js'
import { setMode } from './tools.js'

const $ = (id) => document.getElementById(id)
const TOOLS = { add: LABEL.add, remove: LABEL.remove, allow: LABEL.allow, exclude: LABEL.exclude }

let views = null
let history = new History()
let before = null // the labels before the stroke under way
let stored = null // ArrayBuffer of the labels that the results were made with, or null
let open = false

const tool = () => document.querySelector('[name=brush]:checked').value

function voxels(mm) {
  const mean = views.slices.spacing.reduce((sum, value) => sum + value, 0) / 3
  return mm / mean
}

function showState(text = '') {
  $('edit-undo').disabled = !history.done.length
  $('edit-redo').disabled = !history.undone.length
  $('edit-apply').disabled = !history.done.length
  $('edit-drop').hidden = !stored
  $('edit-text').textContent = text
}

function pick() {
  const region = tool() === 'allow' || tool() === 'exclude'
  const drawn = TOOLS[tool()] !== undefined
  $('edit-size').disabled = !drawn || region
  $('edit-depth').disabled = !drawn
  if (!open) return
  setMode('point')
  views.slices.painting(drawn ? { label: TOOLS[tool()], size_vox: region ? 1 : Math.max(1, Math.round(voxels($('edit-size').value))), filled: region } : null)
  const texts = {
    add: 'Paint implant on a slice.',
    remove: 'Wipe implant away on a slice.',
    piece: 'Click a piece of the implant on a slice: all of it goes.',
    allow: 'Draw round the region that may hold an implant; everything outside is removed.',
    exclude: 'Draw round a region that must hold none.',
  }
  showState(texts[tool()])
}

// Slices to either side that a stroke reaches.
function depth() {
  const { slices } = views
  return Math.round($('edit-depth').value / 2 / slices.spacing[slices.across])
}

function begin() {
  if (open) before = views.slices.labels.slice()
}

function end(across) {
  const { slices } = views
  if (!before) return
  if (tool() === 'piece') removePiece()
  else deepen(slices.labels, before, slices.dim, across, depth())
  if (history.record(before, slices.labels)) slices.refreshLabels()
  before = null
  showState($('edit-text').textContent)
}

function removePiece() {
  const { slices } = views
  const mask = slices.implant
  const seed = nearest(mask, slices.dim, slices.cross, 3)
  if (seed < 0) showState('There is no implant here: click on a piece of it.')
  else erasePiece(slices.labels, piece(mask, slices.dim, seed), slices.dim)
}

function step(move) {
  if (move === 'undo' ? history.undo(views.slices.labels) : history.redo(views.slices.labels)) views.slices.refreshLabels()
  showState()
}

async function start() {
  const { slices } = views
  history = new History()
  open = true
  $('edit-bar').hidden = false
  $('edit-open').setAttribute('aria-expanded', 'true')
  if (!stored || !(await slices.loadLabels(stored))) slices.emptyLabels()
  document.querySelector('[name=brush][value=add]').checked = true
  pick()
}

function stop() {
  open = false
  before = null
  $('edit-bar').hidden = true
  $('edit-open').setAttribute('aria-expanded', 'false')
  if (!views) return
  views.slices.painting(null)
  views.slices.nv.closeDrawing()
  views.draw()
}

// gzip: the labels of a whole head are mostly zeros.
async function pack(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).blob()
}

// labels: the ArrayBuffer of an earlier edit, or null.
export function openEdit(shown, labels) {
  views = shown
  stored = labels
  stop()
  showState()
}

export function closeEdit() {
  stop()
  views = null
}

// onApply(blob, drop): sends the labels, or takes an earlier edit back.
export function listenToEdit(onApply) {
  const area = $('slices-canvas').parentElement
  area.addEventListener('pointerdown', begin, true)
  // After NiiVue's own end of the stroke; the axis is forgotten by then.
  let across = 2
  addEventListener('pointerup', () => {
    if (!before) return
    across = views.slices.across
    setTimeout(() => end(across), 0)
  }, true)
  $('edit-open').addEventListener('click', () => (open ? stop() : start()))
  $('edit-close').addEventListener('click', stop)
  $('edit-undo').addEventListener('click', () => step('undo'))
  $('edit-redo').addEventListener('click', () => step('redo'))
  $('edit-drop').addEventListener('click', () => onApply(null, true))
  $('edit-apply').addEventListener('click', async () => onApply(await pack(await views.slices.labelsFile()), false))
  for (const input of document.querySelectorAll('[name=brush], #edit-size')) input.addEventListener('change', pick)
  area.addEventListener('keydown', (event) => {
    if (!open || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return
    event.preventDefault()
    event.stopPropagation()
    step(event.shiftKey ? 'redo' : 'undo')
  }, true)
}
