// tools.js - what is set above the slices: layout, window of the CT, measuring; and one view at full size.
import { WINDOWS } from './words.js'

const $ = (id) => document.getElementById(id)
let slices = null // null: nothing is shown

function applyWindow() {
  slices?.window(Number($('window-level').value), Math.max(1, Number($('window-width').value)))
  slices?.draw()
}

function preset(name) {
  const [level, width] = WINDOWS[name] ?? [Number($('window-level').value), Number($('window-width').value)]
  $('window-level').value = level
  $('window-width').value = width
  applyWindow()
}

function mode(name) {
  slices?.mode(name)
  for (const radio of document.querySelectorAll('[name=drag]')) radio.checked = radio.value === name
}

function full(view) {
  const on = view && $('views').dataset.full !== view
  if (on) $('views').dataset.full = view
  else delete $('views').dataset.full
  for (const button of document.querySelectorAll('[data-full-view]')) {
    const big = on && button.dataset.fullView === view
    button.setAttribute('aria-pressed', big)
    button.title = big ? 'All views (Escape)' : 'This view alone, full size'
  }
  dispatchEvent(new Event('resize'))
  drawAll()
}

let drawAll = () => {}

// A new job's slices; draw() draws every view.
export function openTools(views) {
  slices = views.slices
  drawAll = () => views.draw()
  for (const element of document.querySelectorAll('[data-ct]')) element.hidden = !slices.hasCt
  $('layout').value = 'all'
  slices.layout('all')
  mode('point')
  if (!slices.hasCt) return
  $('window-preset').value = 'bone'
  preset('bone')
  $('mask-opacity').value = 30
  slices.opacity('skull', 0.3)
}

export function closeTools() {
  slices = null
  full(null)
}

export const setMode = mode

$('layout').addEventListener('change', () => {
  slices?.layout($('layout').value)
  slices?.draw()
})
$('window-preset').addEventListener('change', () => preset($('window-preset').value))
for (const id of ['window-level', 'window-width']) {
  $(id).addEventListener('input', () => {
    $('window-preset').value = 'own'
    applyWindow()
  })
}
$('mask-opacity').addEventListener('input', (event) => {
  slices?.opacity('skull', event.target.value / 100)
  slices?.draw()
})
for (const radio of document.querySelectorAll('[name=drag]')) radio.addEventListener('change', () => mode(radio.value))
$('measure-clear').addEventListener('click', () => slices?.clearMeasures())
for (const button of document.querySelectorAll('[data-full-view]')) button.addEventListener('click', () => full(button.dataset.fullView))
addEventListener('keydown', (event) => event.key === 'Escape' && $('views').dataset.full && full(null))
