// runs.js - the live page of trainings: what /api/runs lists, and the curves and pictures of one run; fetched anew while the page is seen.
import { chart, readTable, series, smooth } from './charts.js'
import { dateTime } from './words.js'

const $ = (id) => document.getElementById(id)
const POLL_MS = 5000
const STALE_MS = 10 * 60 * 1000
let chosen = new URLSearchParams(location.hash.slice(1)).get('run')
let tag = ''
let timer = 0

async function get(path, headers = {}) {
  const response = await fetch(path, { credentials: 'same-origin', headers })
  if (response.status === 304) return null
  if (response.ok) return response
  if (response.status === 401) throw new Error('This server wants its token: enter it on the first page.')
  const text = await response.text()
  let why = `The server responded with ${response.status}.`
  try {
    why = JSON.parse(text).error ?? why
  } catch {
    // a proxy's page: the status must do
  }
  throw new Error(why)
}

const title = (run) => run.name || 'this folder'
const round = (value, digits = 4) => (value === null ? '–' : String(Number(value.toPrecision(digits))))

// A run that was killed cannot say so: its last row is old.
function state(run) {
  const stale = run.state === 'running' && run.changed && Date.now() - new Date(run.changed) > STALE_MS
  return stale ? 'running, no news' : (run.state ?? 'unknown')
}

function row(run) {
  const made = document.createElement('tr')
  const link = Object.assign(document.createElement('a'), { href: `#run=${encodeURIComponent(run.name)}`, textContent: title(run) })
  if (run.name === chosen) made.className = 'chosen'
  const best = run.best.metric ? `${run.best.metric} ${round(run.best.value)}` : '–'
  const cells = [link, state(run), `${run.step ?? '–'} / ${run.steps ?? '–'}`, best, run.best.step ?? '–', run.changed ? dateTime(run.changed) : '–']
  made.append(...cells.map((content) => {
    const cell = document.createElement('td')
    cell.append(content)
    return cell
  }))
  return made
}

function curves(table) {
  const loss = series(table, 'loss')
  const names = Object.keys(table.columns)
  const charts = [chart('Loss', [
    { title: 'each step', points: loss, kind: 'faint' },
    { title: 'training, smoothed', points: smooth(loss, loss.length / 30), kind: 'line' },
    { title: 'validation', points: series(table, 'val_loss'), kind: 'dots' },
  ], { log: true })]
  const shares = ['val_dsc', 'val_bdsc_mm', 'val_nsd_1mm'].filter((name) => names.includes(name))
  const distances = ['val_hd95_mm', 'val_assd_mm'].filter((name) => names.includes(name))
  const dots = (list) => list.map((name) => ({ title: name.slice(4).replace(/_1?mm$/, ''), points: series(table, name), kind: 'dots' }))
  if (shares.length) charts.push(chart('Overlap of the implant, validation', dots(shares)))
  if (distances.length) charts.push(chart('Distance of the surfaces, validation, mm', dots(distances)))
  if (names.includes('lr')) charts.push(chart('Learning rate', [{ title: 'lr', points: series(table, 'lr'), kind: 'line' }], { log: true }))
  if (names.includes('step_s')) {
    const time = series(table, 'step_s')
    charts.push(chart('Time of a step, s', [{ title: 'each', points: time, kind: 'faint' }, { title: 'smoothed', points: smooth(time, time.length / 30), kind: 'line' }]))
  }
  return charts
}

function showPicture(run) {
  const names = run.pictures
  $('pictures').hidden = !names.length
  if (!names.length) return
  const select = $('picture-step')
  const before = $('picture-last').checked ? names.at(-1) : select.value
  if (select.options.length !== names.length) select.replaceChildren(...names.map((name) => new Option(name.replace(/\.png$/, ''), name)))
  select.value = names.includes(before) ? before : names.at(-1)
  const url = `/api/runs/picture?run=${encodeURIComponent(run.name)}&picture=${encodeURIComponent(select.value)}`
  if ($('picture').getAttribute('src') !== url) {
    $('picture').src = url
    $('picture').alt = `Validation of ${title(run)}, ${select.value}`
  }
}

async function showRun(run) {
  $('run').hidden = !run
  if (!run) return
  $('run-title').textContent = title(run)
  $('run-note').textContent = run.note ?? ''
  showPicture(run)
  const response = await get(`/api/runs/metrics?run=${encodeURIComponent(run.name)}`, tag ? { 'If-None-Match': tag } : {})
  if (!response) return
  tag = response.headers.get('ETag') ?? ''
  $('charts').replaceChildren(...curves(readTable(await response.text())))
}

async function refresh() {
  clearTimeout(timer)
  try {
    const { runs } = await (await get('/api/runs')).json()
    chosen ??= (runs.find((run) => run.state === 'running') ?? runs[0])?.name ?? null
    $('runs-rows').replaceChildren(...runs.map(row))
    $('runs-wrong').textContent = runs.length ? '' : 'There are no run folders yet.'
    await showRun(runs.find((run) => run.name === chosen))
    $('runs-news').textContent = `As of ${new Date().toLocaleTimeString()}`
  } catch (error) {
    $('runs-wrong').textContent = error instanceof TypeError ? 'The server cannot be reached; the page goes on trying.' : error.message
  }
  if (!document.hidden) timer = setTimeout(refresh, POLL_MS)
}

addEventListener('hashchange', () => {
  chosen = new URLSearchParams(location.hash.slice(1)).get('run')
  tag = ''
  $('picture-step').replaceChildren()
  refresh()
})
document.addEventListener('visibilitychange', () => !document.hidden && refresh())
$('picture-step').addEventListener('change', () => {
  $('picture-last').checked = false
  refresh()
})
$('picture-last').addEventListener('change', refresh)
refresh()
