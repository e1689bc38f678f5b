// result.js - the result of one job: measurements, files, and the views (whose code is fetched when the first result is shown).
import { showRevising, showSettings } from './adjust.js'
import { closeEdit, openEdit } from './edit.js'
import { fetchFile } from './server.js'
import { closeTools, openTools } from './tools.js'
import { bytes, dateTime, downloads, extension, measures, number, stageText } from './words.js'

const $ = (id) => document.getElementById(id)
const dark = matchMedia('(prefers-color-scheme: dark)')
const FILES = ['skull.ply', 'completed.ply', 'implant.ply', 'skull', 'implant', 'ct', 'edit']
const ABSENT = new Set(['implant.ply', 'ct', 'edit']) // of an empty implant, of a mask, of what was not edited

let views = null // Views, once made
let shown = null // the id of the job on show
let revision = null // and which of its results
let loading = null // AbortController of the files under way

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag)
  made.textContent = text
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  return made
}

function listMeasures(summary) {
  $('measures').replaceChildren(...measures(summary).map(([name, value]) => {
    const row = element('div', '')
    row.append(element('dt', name), element('dd', value))
    return row
  }))
}

function listWarnings(warnings) {
  $('warnings').replaceChildren(...warnings.map((text) => element('li', text)))
  $('warnings').hidden = warnings.length === 0
}

function listFiles(files, summary) {
  const items = downloads(files).map(([file, what]) => {
    const item = element('li', '')
    const link = element('a', what, { href: file.url })
    if (file.name === 'report.html') link.setAttribute('target', '_blank')
    else link.setAttribute('download', '')
    item.append(link, element('span', `${extension(file.name)} · ${bytes(file.bytes)}`, { class: 'hint' }))
    return item
  })
  $('files').replaceChildren(...items)
  const stl = files.find((file) => file.name === 'implant.stl')
  $('stl').hidden = !stl || !summary.components
  if (stl) $('stl').href = stl.url
}

function backdrop() {
  views?.background(backgroundColour())
}

function panels() {
  return Object.fromEntries([...document.querySelectorAll('#views figure')].map((figure) => {
    const mark = (side) => figure.querySelector(`.mark.${side}`)
    const marks = { left: mark('left'), right: mark('right'), top: mark('top'), bottom: mark('bottom') }
    return [figure.dataset.view, { canvas: figure.querySelector('canvas'), marks }]
  }))
}

// A file that is not there is left out; any other failure is one.
async function fetchFiles({ id, files }, signal) {
  const there = (name) => !ABSENT.has(name) || files.some((file) => file.url.endsWith(`/${name}`))
  const found = await Promise.all(FILES.map((name) => (there(name) ? fetchFile(id, name, signal) : null)))
  return Object.fromEntries(FILES.map((name, i) => [name, found[i]]))
}

function resetControls() {
  $('skull-opacity').value = $('implant-opacity').value = 100
  $('cut-side').value = 'none'
  $('cut-depth').value = 40
  $('cut-depth').disabled = true
}

async function draw(job, again) {
  loading = new AbortController()
  const { signal } = loading
  $('views').dataset.ready = 'no'
  $('views-loading').textContent = 'Loading the views …'
  try {
    const [{ Views }, files] = await Promise.all([import('./views.js'), fetchFiles(job, signal)])
    if (signal.aborted) return
    views ??= await Views.open(panels())
    if (!again) resetControls()
    views.cut('none', 0)
    await views.show(files, again)
    openTools(views)
    openEdit(views, files.edit)
    if (again) cut()
    backdrop()
    $('views').dataset.ready = 'yes'
  } catch (failure) {
    if (failure.name === 'AbortError') return
    console.error(failure)
    const why = failure.hint ? `${failure.message} ${failure.hint}.` : 'This browser could not draw them (is WebGL 2 switched off?).'
    $('views-loading').textContent = `No views: ${why} The files below are complete.`
  }
}

// The same job once more: its views stay as they were turned, and are drawn anew where it has new results.
export function openResult(job) {
  const again = shown === job.id
  const text = job.state === 'queued' ? `Waits, place ${job.queue_place ?? '?'} in the queue` : stageText(job.stage)
  $('result-model').textContent = job.model ? `Model: ${job.model}${job.settings.edited ? ' · edited by hand' : ''}` : ''
  showRevising(job, text)
  $('revise-wrong').textContent = job.error && !job.revising ? `Not changed: ${job.error}` : ''
  const made = `${job.revision} ${job.finished} ${job.revising}`
  if (again && (job.revising || revision === made)) return
  shown = job.id
  revision = made
  listMeasures(job.summary)
  listWarnings(job.warnings)
  listFiles(job.files, job.summary)
  showSettings(job.settings)
  $('confirm').hidden = true
  const grid = number(job.mesh_grid_mm, 'mm', 2)
  $('grid').textContent = job.mesh_grid_mm ? `The views show surfaces made at ${grid}; the files have the upload's own grid.` : ''
  $('expires').textContent = job.expires ? `, until ${dateTime(job.expires)}` : ''
  loading?.abort()
  draw(job, again)
}

export function closeResult() {
  if (!shown) return
  shown = revision = null
  loading.abort()
  closeEdit()
  closeTools()
  views?.clear()
}

// The colour behind the views, for other sections too.
export function backgroundColour() {
  return getComputedStyle($('views')).getPropertyValue('--view').trim().split(' ').map((value) => Number(value) / 255)
}

function cut() {
  const side = $('cut-side').value
  $('cut-depth').disabled = side === 'none'
  views?.cut(side, $('cut-depth').value / 100)
}

async function copyAddress() {
  const before = $('copy').textContent
  try {
    await navigator.clipboard.writeText(location.href)
    $('copy').textContent = 'Copied'
  } catch {
    $('copy').textContent = 'Copy it from the address bar'
  }
  setTimeout(() => ($('copy').textContent = before), 2500)
}

for (const button of document.querySelectorAll('[data-look]')) button.addEventListener('click', () => views?.look(button.dataset.look))
for (const radio of document.querySelectorAll('[name=tab]')) radio.addEventListener('change', () => {
  $('views').dataset.tab = radio.value
  views?.draw()
})
$('skull-opacity').addEventListener('input', (event) => views?.skullOpacity(event.target.value / 100))
$('implant-opacity').addEventListener('input', (event) => views?.implantOpacity(event.target.value / 100))
$('cut-side').addEventListener('change', cut)
$('cut-depth').addEventListener('input', cut)
$('copy').addEventListener('click', copyAddress)
$('delete').addEventListener('click', () => {
  $('confirm').hidden = false
  $('confirm-no').focus()
})
$('confirm-no').addEventListener('click', () => {
  $('confirm').hidden = true
  $('delete').focus()
})
dark.addEventListener('change', backdrop)
