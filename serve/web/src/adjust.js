// adjust.js - what of a finished job can be changed: clearance, bevel, thickness, insertion. The card follows the job's own settings.
const $ = (id) => document.getElementById(id)

const FIELDS = { 'adjust-clearance': 'clearance_mm', 'adjust-bevel': 'bevel_deg', 'adjust-thickness': 'min_thickness_mm' }

export function showSettings(settings) {
  for (const [id, key] of Object.entries(FIELDS)) $(id).value = settings[key]
  $('adjust-insertable').checked = settings.insertable
}

export function wantedSettings() {
  const fields = Object.fromEntries(Object.entries(FIELDS).map(([id, key]) => [key, $(id).value || '0']))
  return { ...fields, insertable: String($('adjust-insertable').checked) }
}

// While a job is made anew its card and its edit wait.
export function showRevising(job, text) {
  $('revising').hidden = !job.revising
  for (const id of ['adjust-apply', 'edit-open', 'edit-apply', 'edit-drop']) $(id).disabled = job.revising
  if (!job.revising) return
  $('revising-text').textContent = text
  if (job.state === 'running') $('revising-bar').value = job.percent
  else $('revising-bar').removeAttribute('value')
}

export function listenToSettings(onApply) {
  $('adjust-form').addEventListener('submit', (event) => {
    event.preventDefault()
    onApply(wantedSettings())
  })
}
