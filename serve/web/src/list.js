// list.js - "My skulls" on the start page: the jobs of this browser with their states, files that are still on their way, and which two
// to compare.
import { Failure, deleteJob, fetchJob, isFinal, upload } from './server.js'
import { forget, forgetAll, mine, remember } from './mine.js'
import { dateTime, stateText } from './words.js'

const $ = (id) => document.getElementById(id)
const POLL_MS = 2000
const sending = [] // { name, text } of files not yet taken by the server
const jobs = new Map() // by id, as last fetched; null: gone
let timer = 0
let shown = false
let chosen = []

function cell(child) {
  const made = document.createElement('td')
  made.append(child)
  return made
}

function link(job) {
  const made = document.createElement('a')
  made.href = `#job=${job.id}`
  made.textContent = job.name
  return made
}

function choose(id, on) {
  chosen = on ? [...chosen.slice(-1), id] : chosen.filter((one) => one !== id)
  draw()
}

function row(entry) {
  const job = jobs.get(entry.id)
  const made = document.createElement('tr')
  const box = document.createElement('input')
  box.type = 'checkbox'
  box.checked = chosen.includes(entry.id)
  box.disabled = job?.state !== 'done'
  box.setAttribute('aria-label', `Compare ${entry.name}`)
  box.addEventListener('change', () => choose(entry.id, box.checked))
  const away = document.createElement('button')
  away.type = 'button'
  away.className = 'plain'
  away.textContent = 'Delete'
  away.setAttribute('aria-label', `Delete ${entry.name}`)
  away.addEventListener('click', () => remove(entry))
  made.append(cell(box), cell(link(entry)), cell(entry.model ?? ''), cell(dateTime(entry.created)), cell(job === undefined ? '…' : stateText(job)), cell(away))
  return made
}

function waiting({ name, text }) {
  const made = document.createElement('tr')
  made.append(cell(''), cell(name), cell(''), cell(''), cell(text), cell(''))
  return made
}

function draw() {
  const list = mine()
  $('mine').hidden = !list.length && !sending.length
  $('mine-rows').replaceChildren(...sending.map(waiting), ...list.map(row))
  $('mine-compare').disabled = chosen.length !== 2
}

async function refresh() {
  clearTimeout(timer)
  if (!shown) return
  const open = mine().filter(({ id }) => !jobs.get(id) || !isFinal(jobs.get(id)))
  await Promise.all(open.slice(0, 20).map(async ({ id }) => {
    try {
      jobs.set(id, await fetchJob(id))
    } catch (failure) {
      if (failure.status === 404) { // deleted, or kept long enough
        jobs.delete(id)
        forget(id)
      }
    }
  }))
  if (!shown) return
  draw()
  if (mine().some(({ id }) => jobs.get(id) && !isFinal(jobs.get(id)))) timer = setTimeout(refresh, POLL_MS)
}

async function remove({ id }) {
  try {
    await deleteJob(id)
  } catch (failure) {
    if (failure.status !== 404) {
      $('mine-text').textContent = failure.message
      return
    }
  }
  jobs.delete(id)
  forget(id)
  chosen = chosen.filter((one) => one !== id)
  draw()
}

// Where the queue is full, the file waits as long as the server says.
async function sendOne(file, fields, entry) {
  for (;;) {
    try {
      const progress = (fraction) => {
        entry.text = `sending, ${Math.floor(100 * fraction)} %`
        draw()
      }
      const job = await upload(file, fields, progress, new AbortController().signal)
      jobs.set(job.id, job)
      remember(job)
      return
    } catch (failure) {
      if (failure.status !== 503) throw failure
      entry.text = 'waits for a place in the queue'
      draw()
      await new Promise((done) => setTimeout(done, 1000 * (failure.retryAfter || 15)))
    }
  }
}

// Several files, one after the other.
export async function sendAll(files, fields) {
  const entries = files.map((file) => ({ name: file.name, text: 'waits' }))
  sending.push(...entries)
  draw()
  for (const [i, file] of files.entries()) {
    try {
      await sendOne(file, fields, entries[i])
      sending.splice(sending.indexOf(entries[i]), 1)
    } catch (failure) {
      entries[i].text = failure instanceof Failure ? failure.message : String(failure)
    }
    draw()
    refresh()
  }
}

export const isSending = () => sending.some(({ text }) => /^(sending|waits)/.test(text))

export function showList() {
  shown = true
  draw()
  refresh()
}

export function hideList() {
  shown = false
  clearTimeout(timer)
}

$('mine-compare').addEventListener('click', () => (location.hash = `#compare=${chosen.join(',')}`))
$('mine-clear').addEventListener('click', () => {
  forgetAll()
  chosen = []
  draw()
})
