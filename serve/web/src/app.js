// app.js - one page, one state at a time: loading, token, start, progress, result or problem. The address's #job=ID says which job it
// shows, so that a reload, a bookmark or another window goes on with it.
import { Failure, cancelJob, copyJob, deleteJob, fetchInfo, fetchJob, follow, isFinal, openSession, reviseJob, startExample, upload } from './server.js'
import { listenToSettings, wantedSettings } from './adjust.js'
import { closeCompare, openCompare } from './compare.js'
import { listenToEdit } from './edit.js'
import { hideList, isSending, sendAll, showList } from './list.js'
import { forget, remember } from './mine.js'
import { backgroundColour, closeResult, openResult } from './result.js'
import { bytes, dateTime, hours, stageText } from './words.js'

const $ = (id) => document.getElementById(id)
const titles = { token: 'token-title', start: 'start-title', progress: 'progress-title', result: 'result-title', problem: 'problem-title', compare: 'compare-title' }

let info = null
let stopFollowing = () => {}
let sending = null // AbortController of the upload under way
let retry = null

function say(text) {
  if ($('status').textContent !== text) $('status').textContent = text
}

function show(state, { focus = true } = {}) {
  const before = document.body.dataset.state
  if (state !== 'progress') $('lost').hidden = true
  document.body.dataset.state = state
  if (state !== 'result') closeResult()
  if (state !== 'compare') closeCompare()
  if (state === 'start') showList()
  else hideList()
  if (focus && before !== state && before !== 'loading') $(titles[state]).focus({ preventScroll: state === 'start' })
  if (before !== state) scrollTo({ top: 0 })
}

// The whole file name and when it came: "000_defective" and "000_complete" must not look alike.
function name(text, created = null) {
  for (const element of document.querySelectorAll('[data-name]')) element.textContent = text
  for (const element of document.querySelectorAll('[data-date]')) element.textContent = created ? `Uploaded ${dateTime(created)}` : ''
  document.title = text ? `${text} · calvaria` : 'calvaria · cranial implant'
}

const jobInAddress = () => /^#job=([0-9a-f]{32})$/.exec(location.hash)?.[1]

function address(id) {
  const hash = id ? `#job=${id}` : ''
  if (location.hash !== hash) history.pushState(null, '', `${location.pathname}${hash}`)
}

// ---- states ------------------------------------------------------------------------------------------------------------------------

function showStart() {
  stopFollowing()
  name('')
  address(null)
  $('upload-form').reset()
  showKind()
  show('start')
}

function showProblem(failure, again) {
  if (failure.name === 'AbortError') return
  stopFollowing()
  if (failure.status === 401) {
    showToken()
    return
  }
  if (!(failure instanceof Failure)) console.error(failure)
  const hint = failure.hint ? failure.hint[0].toUpperCase() + failure.hint.slice(1) : ''
  $('problem-text').textContent = failure.message
  $('problem-hint').textContent = hint && !/[.!?]$/.test(hint) ? `${hint}.` : hint
  retry = again ?? null
  $('retry').hidden = !retry
  show('problem')
}

function showToken() {
  show('token', { focus: false })
  $('token-field').focus()
}

function showProgress({ text, percent, hint = '', cancel = true }) {
  $('stage').textContent = text
  const known = percent !== null
  if (known) $('bar').value = percent
  else $('bar').removeAttribute('value')
  $('percent').textContent = known ? `${Math.floor(percent)} %` : ''
  $('progress-hint').textContent = hint
  $('cancel').disabled = !cancel
  const tenth = known && percent >= 10 ? `, ${Math.floor(percent / 10) * 10} percent` : ''
  say(text + tenth)
  show('progress')
}

function showJob(job) {
  name(job.example ? 'Example skull' : job.name, job.created)
  remember(job)
  if (job.revising) {
    say('Making the implant anew')
    show('result')
    openResult(job)
  } else if (job.state === 'done') {
    say(job.summary?.components ? 'Done. The implant is ready.' : 'Done. There is no implant: see the warnings.')
    show('result')
    openResult(job)
  } else if (job.state === 'failed') {
    showProblem(Failure.from(job.error ?? 'The work failed.', 0, 'try another file'))
  } else if (job.state === 'cancelled') {
    showProblem(new Failure('This job was cancelled.', { hint: 'upload the file again when you want its result' }))
  } else {
    const waiting = job.state === 'queued'
    showProgress({
      text: waiting ? `Waiting, place ${job.queue_place ?? '?'} in the queue` : stageText(job.stage),
      percent: waiting ? null : job.percent,
      hint: 'You may close this page and come back to its address.',
    })
  }
}

function openJob(id) {
  stopFollowing()
  address(id)
  stopFollowing = follow(id, showJob, (failure) => showProblem(failure), (lost) => {
    $('lost').hidden = !lost
    say(lost ? 'The connection is lost.' : 'The connection is back.')
  })
}

// ---- actions -----------------------------------------------------------------------------------------------------------------------

const kind = () => new FormData($('upload-form')).get('kind')

function uploadFields() {
  const fields = { auto: {}, skull: { segment: 'false' }, ct: { segment: 'true', threshold_hu: $('hu').value || '150' } }[kind()]
  return info?.models.length > 1 ? { ...fields, model: $('model').value } : fields
}

// One file is followed to its result; of several the list on the start page tells.
function sendFiles(files) {
  if (!files.length || document.body.dataset.state === 'loading' || document.body.dataset.state === 'token') return
  if (files.length === 1) {
    send(files[0])
    return
  }
  const [list, fields] = [[...files], uploadFields()] // the form is reset, and with it its own list
  showStart()
  sendAll(list, fields)
}

function showKind() {
  $('hu-row').hidden = kind() !== 'ct'
}

async function send(file) {
  if (!file || document.body.dataset.state === 'loading' || document.body.dataset.state === 'token') return
  const again = () => send(file)
  name(file.name)
  const limit = info?.limits.max_upload_bytes
  if (limit && file.size > limit) {
    showProblem(new Failure(`${file.name} has ${bytes(file.size)}, more than the ${bytes(limit)} this server takes.`,
      { hint: 'crop the volume to the head, save it compressed (.nii.gz), or resample it' }))
    return
  }
  if (file.size === 0) {
    showProblem(new Failure(`${file.name} is empty.`, { hint: 'export the volume again and choose that file' }))
    return
  }
  stopFollowing()
  const fields = uploadFields()
  sending = new AbortController()
  try {
    showProgress({ text: 'Uploading', percent: 0 })
    const job = await upload(file, fields, (fraction) => showProgress({ text: 'Uploading', percent: 100 * fraction }), sending.signal)
    openJob(job.id)
  } catch (failure) {
    if (failure.name === 'AbortError') showStart()
    else showProblem(failure, failure.status >= 400 && failure.status < 500 ? null : again) // a wrong file stays wrong
  } finally {
    sending = null
  }
}

async function example() {
  name('Example skull')
  try {
    openJob((await startExample()).id)
  } catch (failure) {
    showProblem(failure, example)
  }
}

async function cancel() {
  if (sending) {
    sending.abort()
    return
  }
  const id = jobInAddress()
  stopFollowing()
  try {
    await cancelJob(id)
    await deleteJob(id)
  } catch (failure) {
    if (failure.status !== 404 && failure.status !== 409) {
      showProblem(failure)
      return
    }
    if (failure.status === 409) { // it ended in the meantime: show how
      openJob(id)
      return
    }
  }
  forget(id)
  say('Cancelled')
  showStart()
}

// The same job with other settings or another edit; what is shown stays until the new results are there.
async function revise(fields, edit = null) {
  const id = jobInAddress()
  $('revise-wrong').textContent = ''
  try {
    showJob(await reviseJob(id, fields, edit))
    openJob(id)
  } catch (failure) {
    $('revise-wrong').textContent = `${failure.message} ${failure.hint}`.trim()
  }
}

async function cancelRevision() {
  try {
    await cancelJob(jobInAddress())
  } catch (failure) {
    if (failure.status !== 409) $('revise-wrong').textContent = failure.message
  }
}

async function restoreByOther() {
  try {
    openJob((await copyJob(jobInAddress(), $('other-model').value)).id)
  } catch (failure) {
    showProblem(failure)
  }
}

async function removeData() {
  const id = jobInAddress()
  try {
    await deleteJob(id)
  } catch (failure) {
    if (failure.status !== 404) {
      showProblem(failure)
      return
    }
  }
  forget(id)
  say('Your data was deleted')
  showStart()
}

async function enterToken(event) {
  event.preventDefault()
  $('token-wrong').textContent = ''
  try {
    await openSession($('token-field').value.trim())
    $('token-field').value = ''
    await begin()
  } catch (failure) {
    $('token-wrong').textContent = failure.status === 401 ? 'This is not the token. Check for missing characters.' : failure.message
    $('token-field').select()
  }
}

// ---- beginning ---------------------------------------------------------------------------------------------------------------------

function describeServer() {
  const { limits, model, models, version } = info
  for (const id of ['model', 'other-model']) {
    $(id).replaceChildren(...models.map((one) => new Option(one.name ? `${one.id} · ${one.name}` : one.id, one.id)))
  }
  for (const id of ['model-row', 'other-row']) $(id).hidden = models.length < 2
  $('runs-link').hidden = !info.runs
  $('limit').textContent = `, up to ${bytes(limits.max_upload_bytes)}`
  $('keep').textContent = `Results are kept ${hours(limits.keep_hours)}, for you alone, and you can delete them.`
  const network = model.network ? ` (${model.network})` : ''
  $('about').textContent = `calvaria ${version} · model ${model.name || model.file}${network}`
}

async function compare(ids) {
  stopFollowing()
  name('')
  try {
    const jobs = await Promise.all(ids.map(fetchJob))
    const undone = jobs.find((job) => job.state !== 'done')
    if (undone) throw new Failure(`${undone.name} is not done.`, { hint: 'compare two finished skulls' })
    show('compare')
    await openCompare(jobs, backgroundColour())
  } catch (failure) {
    showProblem(failure)
  }
}

async function route() {
  const pair = /^#compare=([0-9a-f]{32}),([0-9a-f]{32})$/.exec(location.hash)
  if (pair) {
    compare(pair.slice(1))
    return
  }
  const id = jobInAddress()
  if (!id) {
    showStart()
    return
  }
  try {
    const job = await fetchJob(id)
    if (isFinal(job)) {
      stopFollowing()
      showJob(job)
    } else openJob(id)
  } catch (failure) {
    showProblem(failure, failure.status === 404 ? null : route)
  }
}

async function begin() {
  try {
    info = await fetchInfo()
  } catch (failure) {
    showProblem(failure, begin)
    return
  }
  describeServer()
  await route()
}

function listenToDrops() {
  let depth = 0
  const over = (on) => document.body.classList.toggle('dragging', on)
  addEventListener('dragenter', () => over(++depth > 0))
  addEventListener('dragleave', () => over(--depth > 0))
  addEventListener('dragover', (event) => event.preventDefault())
  addEventListener('drop', (event) => {
    event.preventDefault()
    depth = 0
    over(false)
    if (document.body.dataset.state === 'start' || document.body.dataset.state === 'problem') sendFiles(event.dataTransfer.files)
  })
}

$('token-form').addEventListener('submit', enterToken)
$('upload-form').addEventListener('submit', (event) => event.preventDefault())
$('upload-form').addEventListener('change', (event) => (event.target === $('file') ? sendFiles($('file').files) : showKind()))
$('example').addEventListener('click', example)
$('cancel').addEventListener('click', cancel)
$('again').addEventListener('click', showStart)
$('retry').addEventListener('click', () => retry?.())
$('another').addEventListener('click', showStart)
$('confirm-yes').addEventListener('click', removeData)
document.querySelector('.brand').addEventListener('click', (event) => {
  event.preventDefault()
  if (!sending) showStart()
})
$('revise-cancel').addEventListener('click', cancelRevision)
$('other-make').addEventListener('click', restoreByOther)
listenToSettings((fields) => revise(fields))
listenToEdit((edit, drop) => revise(drop ? { ...wantedSettings(), drop_edit: 'true' } : wantedSettings(), edit))
addEventListener('popstate', route)
addEventListener('beforeunload', (event) => (sending || isSending()) && event.preventDefault())
listenToDrops()
begin()
