// words.js - numbers and stages in words.

const STAGES = {
  starting: 'Starting',
  example: 'Making the example skull',
  reading: 'Reading the volume',
  segmenting: 'Taking the bone from the CT',
  restoring: 'Restoring the skull',
  measuring: 'Measuring the implant',
  writing: 'Writing the files',
  meshing: 'Making the surfaces',
}

// Level and width in Hounsfield units.
export const WINDOWS = { bone: [500, 2000], brain: [40, 80], soft: [50, 400], full: [1000, 4000] }

// A job's state in the list; null: it could not be fetched.
export function stateText(job) {
  if (!job) return 'not reached'
  const texts = { queued: `waits, place ${job.queue_place ?? '?'}`, running: `${Math.floor(job.percent)} %`, failed: 'failed', cancelled: 'cancelled' }
  if (job.state !== 'done') return texts[job.state] ?? job.state
  return job.summary?.components ? `done, ${number(job.summary.volume_ml, 'ml')}` : 'done, no implant'
}

export const stageText = (stage) => STAGES[stage] ?? 'Working'

export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB']
  let unit = 0
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1024
    unit++
  }
  return `${n < 9.95 && unit ? n.toFixed(1) : Math.round(n)} ${units[unit]}`
}

export function hours(n) {
  if (n < 1) return `${Math.round(60 * n)} minutes`
  return n === 1 ? '1 hour' : n % 24 === 0 && n > 24 ? `${n / 24} days` : `${n} hours`
}

export const dateTime = (iso) => new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })

export function number(value, unit, digits = 1) {
  return value === null || value === undefined ? '–' : `${value.toFixed(digits)} ${unit}`.trim()
}

// [name, value, what it means] of the report's summary.
export function measures(summary) {
  const extent = summary.extent_mm?.length ? `${summary.extent_mm.map((mm) => Math.round(mm)).join(' × ')} mm` : '–'
  const contact = summary.rim_contact_frac === null ? '–' : number(100 * summary.rim_contact_frac, '%', 0)
  return [
    ['Volume', number(summary.volume_ml, 'ml')],
    ['Extent', extent],
    ['Thickness, mean', number(summary.thickness_mean_mm, 'mm')],
    ['Thickness, greatest', number(summary.thickness_max_mm, 'mm')],
    ['Gap to the bone, median', number(summary.rim_gap_mm, 'mm', 2)],
    ['Rim touching the bone', contact],
    ['Surface', number(summary.area_cm2, 'cm²')],
    ['Pieces', String(summary.components ?? '–')],
    ['Pieces removed', summary.removed_pieces ? `${summary.removed_pieces} (${number(summary.removed_ml, 'ml', 2)})` : '0'],
    ['Watertight mesh', summary.watertight ? 'yes' : 'no'],
  ]
}

const FILES = {
  'implant.stl': 'Implant, mesh for printing',
  'implant.3mf': 'Implant, mesh with its unit',
  'implant.nii.gz': 'Implant, volume',
  'implant.nrrd': 'Implant, volume',
  'completed.nii.gz': 'Completed skull, volume',
  'completed.nrrd': 'Completed skull, volume',
  'report.html': 'Report, to read',
  'report.json': 'Report, for programs',
  'preview.png': 'Picture',
  'edit.nii.gz': 'Your edit, labels',
}

// What a visitor wants of a job's files, in this order; [file, what it is].
export function downloads(files) {
  return Object.entries(FILES).flatMap(([name, what]) => files.filter((file) => file.name === name).map((file) => [file, what]))
}

export const extension = (name) => name.slice(name.indexOf('.') + 1)
