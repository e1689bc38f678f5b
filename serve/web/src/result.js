// result.js - the result of one job: measurements, files, and the views (whose code is fetched when the first result is shown).
import { fetchFile } from './server.js'
import { bytes, dateTime, downloads, extension, measures, number } from './words.js'

const $ = (id) => document.getElementById(id)
const dark = matchMedia('(prefers-color-scheme: dark)')
const FILES = ['skull.ply', 'completed.ply', 'implant.ply', 'skull', 'implant']

let views = null // Views, once made
let shown = null // the id of the job on show
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
  const [r, g, b] = getComputedStyle($('views')).getPropertyValue('--view').trim().split(' ').map(Number)
  views?.background([r / 255, g / 255, b / 255])
}

function panels() {
  return Object.fromEntries([...document.querySelectorAll('figure[data-view]')].map((figure) => {
    const mark = (side) => figure.querySelector(`.mark.${side}`)
    const marks = { left: mark('left'), right: mark('right'), top: mark('top'), bottom: mark('bottom') }
    return [figure.dataset.view, { canvas: figure.querySelector('canvas'), marks }]
  }))
}

// A file that is not there (no mesh of an empty implant) is left out; any other failure is one.
async function fetchFiles(id, signal) {
  const found = await Promise.all(FILES.map((name) => fetchFile(id, name, signal).catch((failure) => {
    if (failure.status === 404 && name === 'implant.ply') return null
    throw failure
  })))
  return Object.fromEntries(FILES.map((name, i) => [name, found[i]]))
}

function resetControls() {
  $('skull-opacity').value = $('implant-opacity').value = 100
  $('cut-side').value = 'none'
  $('cut-depth').value = 40
  $('cut-depth').disabled = true
}

async function draw(job) {
  loading = new AbortController()
  const { signal } = loading
  $('views').dataset.ready = 'no'
  $('views-loading').textContent = 'Loading the views …'
  try {
    const [{ Views }, files] = await Promise.all([import('./views.js'), fetchFiles(job.id, signal)])
    if (signal.aborted) return
    views ??= await Views.open(panels())
    resetControls()
    views.cut('none', 0)
    await views.show(files)
    backdrop()
    $('views').dataset.ready = 'yes'
  } catch (failure) {
    if (failure.name === 'AbortError') return
    console.error(failure)
    const why = failure.hint ? `${failure.message} ${failure.hint}.` : 'This browser could not draw them (is WebGL 2 switched off?).'
    $('views-loading').textContent = `No views: ${why} The files below are complete.`
  }
}

export function openResult(job) {
  if (shown === job.id) return
  shown = job.id
  listMeasures(job.summary)
  listWarnings(job.warnings)
  listFiles(job.files, job.summary)
  $('confirm').hidden = true
  const grid = number(job.mesh_grid_mm, 'mm', 2)
  $('grid').textContent = job.mesh_grid_mm ? `The views show surfaces made at ${grid}; the files have the upload's own grid.` : ''
  $('expires').textContent = job.expires ? `, until ${dateTime(job.expires)}` : ''
  draw(job)
}

export function closeResult() {
  if (!shown) return
  shown = null
  loading.abort()
  views?.clear()
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
