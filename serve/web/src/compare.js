// compare.js - two finished jobs side by side: both implants in linked 3D views, both on one set of slices, and their measurements.
import { fetchFile } from './server.js'
import { measures } from './words.js'

const $ = (id) => document.getElementById(id)
let views = null
let shown = null

async function file(id, name) {
  try {
    return await fetchFile(id, name)
  } catch (failure) {
    if (failure.status === 404) return null // of an empty implant, of a mask
    throw failure
  }
}

function table(jobs) {
  const columns = jobs.map((job) => measures(job.summary))
  const rows = columns[0].map(([name, value], i) => [name, value, columns[1][i][1]])
  $('compare-rows').replaceChildren(...[['Model', ...jobs.map((job) => job.model)], ...rows].map((cells) => {
    const row = document.createElement('tr')
    row.append(...cells.map((text, i) => Object.assign(document.createElement(i ? 'td' : 'th'), { textContent: text })))
    return row
  }))
}

function panels() {
  return Object.fromEntries([...document.querySelectorAll('#compare figure')].map((figure) => {
    const mark = (side) => figure.querySelector(`.mark.${side}`)
    const marks = { left: mark('left'), right: mark('right'), top: mark('top'), bottom: mark('bottom') }
    return [figure.dataset.side, { canvas: figure.querySelector('canvas'), marks }]
  }))
}

export async function openCompare(jobs, background) {
  shown = jobs.map(({ id }) => id).join()
  const here = shown
  jobs.forEach((job, i) => {
    $(`compare-name-${i}`).textContent = `${job.example ? 'Example skull' : job.name} · ${job.model}${job.settings?.edited ? ' · edited' : ''}`
    $(`compare-link-${i}`).href = `#job=${job.id}`
  })
  table(jobs)
  $('compare-views').dataset.ready = 'no'
  const names = ['skull.ply', 'implant.ply', 'implant']
  const [{ Pair }, skull, ...files] = await Promise.all([
    import('./pair.js'), file(jobs[0].id, 'skull'), ...jobs.flatMap(({ id }) => names.map((name) => file(id, name)))])
  if (shown !== here) return
  const side = (k) => ({ skull: files[3 * k], implant: files[3 * k + 1] })
  views ??= await Pair.open(panels())
  await views.show([side(0), side(1)], { skull, implant: files[2], second: files[5] })
  views.background(background)
  $('compare-views').dataset.ready = 'yes'
}

export function closeCompare() {
  shown = null
  views?.clear()
}
