// server.js - the server's API (docs/openapi.yaml): every failure becomes a Failure that says what to do.

export class Failure extends Error {
  constructor(message, { status = 0, hint = '' } = {}) {
    super(message)
    this.status = status
    this.hint = hint
    this.retryAfter = 0 // s
  }

  // The server says "where: what: why (what would work)"; what would work is shown as advice.
  static from(text, status, otherwise) {
    const [, what, hint] = /^([^]*?)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\.?$/.exec(text) ?? [null, text, '']
    return new Failure((what || text).replace(/^file: /, ''), { status, hint: hint || otherwise || '' })
  }
}

const unreachable = () =>
  new Failure('The server cannot be reached.', { hint: 'check that calvaria serve is running and that this computer reaches it, then retry' })

function failure(status, body, retryAfter) {
  const otherwise = {
    401: 'enter the token that the server was started with',
    413: 'crop or resample the volume, or start the server with a larger --max-upload',
    503: `try in ${retryAfter || 30} s`,
    507: 'delete results that are no longer needed, or try later',
  }[status]
  let text = `The server responded with ${status}.`
  try {
    text = JSON.parse(body).error ?? text
  } catch {
    // not JSON: a proxy's page; the status must do
  }
  return Object.assign(Failure.from(text, status, otherwise), { retryAfter: Number(retryAfter) || 0 })
}

async function request(path, options = {}) {
  let response
  try {
    response = await fetch(path, { credentials: 'same-origin', ...options })
  } catch (error) {
    throw error.name === 'AbortError' ? error : unreachable()
  }
  if (!response.ok) throw failure(response.status, await response.text(), response.headers.get('Retry-After'))
  return response
}

export const fetchInfo = async () => (await request('/api/info')).json()
export const fetchJob = async (id) => (await request(`/api/jobs/${id}`)).json()
export const fetchFile = async (id, name, signal) => (await request(`/api/jobs/${id}/${name}`, { signal })).arrayBuffer()
export const startExample = async () => (await request('/api/example', { method: 'POST' })).json()
export const cancelJob = (id) => request(`/api/jobs/${id}/cancel`, { method: 'POST' })
export const deleteJob = (id) => request(`/api/jobs/${id}`, { method: 'DELETE' })
export const copyJob = async (id, model) => (await request(`/api/jobs/${id}/copy?model=${encodeURIComponent(model)}`, { method: 'POST' })).json()
export const fetchRuns = async () => (await request('/api/runs')).json()
export const openSession = (token) => request('/api/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } })

// Other settings, or an implant changed by hand (a Blob of labels): without the network.
export async function reviseJob(id, fields, edit = null) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  if (edit) form.append('edit', edit, 'edit.nii.gz')
  return (await request(`/api/jobs/${id}/revise`, { method: 'POST', body: form })).json()
}

// XMLHttpRequest, because fetch cannot tell how much of a body is sent. onProgress(fraction).
export function upload(file, fields, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    form.append('file', file)
    const xhr = new XMLHttpRequest()
    xhr.open('POST', '/api/jobs')
    xhr.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total)
    xhr.onload = () => {
      if (xhr.status === 201) resolve(JSON.parse(xhr.responseText))
      else reject(failure(xhr.status, xhr.responseText, xhr.getResponseHeader('Retry-After')))
    }
    xhr.onerror = () => reject(unreachable())
    xhr.onabort = () => reject(new DOMException('', 'AbortError'))
    signal.addEventListener('abort', () => xhr.abort())
    xhr.send(form)
  })
}

const FINAL = new Set(['done', 'failed', 'cancelled'])
export const isFinal = (job) => FINAL.has(job.state)

// Calls onJob with every change until the job has ended, onFailure(Failure) when it cannot be followed any more, onLost(true) when the
// connection breaks and onLost(false) when it is back. Returns a function that stops.
export function follow(id, onJob, onFailure, onLost = () => {}) {
  const POLL_MS = 2000
  let lost = false
  let source = new EventSource(`/api/jobs/${id}/events`)
  let timer = 0
  let stopped = false

  const stop = () => {
    stopped = true
    source?.close()
    clearTimeout(timer)
  }
  const connection = (broken) => {
    if (!stopped && broken !== lost) onLost((lost = broken))
  }
  const take = (job) => {
    if (stopped) return
    connection(false)
    if (isFinal(job)) stop()
    onJob(job)
  }
  // Where the stream is refused (too many, a proxy that will not stream) the state is fetched instead.
  const poll = async () => {
    try {
      take(await fetchJob(id))
    } catch (error) {
      if (stopped) return
      if (error.status) {
        stop()
        onFailure(error)
      } else connection(true)
    }
    if (!stopped) timer = setTimeout(poll, POLL_MS)
  }
  source.addEventListener('job', (event) => take(JSON.parse(event.data)))
  source.addEventListener('gone', () => {
    stop()
    onFailure(new Failure('This job was deleted.', { status: 404, hint: 'upload the file again' }))
  })
  source.onopen = () => connection(false)
  source.onerror = () => {
    if (stopped) return
    if (source?.readyState !== EventSource.CLOSED) {
      connection(true) // the browser tries once more by itself
      return
    }
    source = null
    poll()
  }
  return stop
}
