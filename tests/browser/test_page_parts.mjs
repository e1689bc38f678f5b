// test_page_parts.mjs - what of the page needs no browser: words, errors, thinned volumes. usage: node test_page_parts.mjs
import { gzipSync } from 'node:zlib'
import { readTable, series, smooth, ticks } from '../../serve/web/src/charts.js'
import { History, LABEL, deepen, erasePiece, nearest, piece } from '../../serve/web/src/labels.js'
import { forget, mine, remember } from '../../serve/web/src/mine.js'
import { Failure, follow } from '../../serve/web/src/server.js'
import { thinVolume } from '../../serve/web/src/volume.js'
import { bytes, downloads, hours, measures, number } from '../../serve/web/src/words.js'
import { assert, runAll, test } from './check.mjs'

const SROW = 280

// A mask of the given size in NIfTI-1, spacing 0.5 x 0.5 x 2 mm, x to the left; lit: the voxels that are 1.
function nifti(dim, lit) {
  const file = new Uint8Array(352 + dim[0] * dim[1] * dim[2])
  const view = new DataView(file.buffer)
  view.setInt32(0, 348, true)
  ;[3, ...dim].forEach((n, i) => view.setInt16(40 + 2 * i, n, true))
  view.setInt16(70, 2, true)
  view.setFloat32(108, 352, true)
  view.setInt16(254, 1, true)
  ;[[-0.5, 0, 0, 30], [0, 0.5, 0, -20], [0, 0, 2, 7]].forEach((row, r) => {
    view.setFloat32(80 + 4 * r, Math.abs(row[r]), true)
    row.forEach((value, c) => view.setFloat32(SROW + 16 * r + 4 * c, value, true))
  })
  for (const [x, y, z] of lit) file[352 + (z * dim[1] + y) * dim[0] + x] = 1
  return file
}

function world(view, voxel) {
  return [0, 1, 2].map((r) => [...voxel, 1].reduce((sum, value, c) => sum + value * view.getFloat32(SROW + 16 * r + 4 * c, true), 0))
}

test('a volume that fits stays as it is, gzip or not', async () => {
  const file = nifti([4, 5, 6], [[1, 2, 3]])
  assert.deepEqual(new Uint8Array(await thinVolume(file.buffer)), file)
  const packed = gzipSync(file)
  const buffer = packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.length)
  assert.deepEqual(new Uint8Array(await thinVolume(buffer)), file)
})

test('a thinned volume lies where it lay and keeps a single voxel', async () => {
  const dim = [13, 10, 7]
  const lit = [12, 7, 2]
  const file = nifti(dim, [lit])
  const thin = await thinVolume(file.buffer, 20)
  const view = new DataView(thin)
  const small = [0, 1, 2].map((axis) => view.getInt16(42 + 2 * axis, true))
  const factor = Math.ceil(dim[0] / small[0])
  assert.deepEqual(small, dim.map((n) => Math.ceil(n / factor)))
  assert.ok(small[0] * small[1] * small[2] <= 20 && factor > 1)
  const voxels = new Uint8Array(thin, 352)
  assert.equal(voxels.length, small[0] * small[1] * small[2])
  const at = voxels.indexOf(1)
  assert.equal(voxels.lastIndexOf(1), at)
  const found = [at % small[0], Math.floor(at / small[0]) % small[1], Math.floor(at / (small[0] * small[1]))]
  assert.deepEqual(found, lit.map((n) => Math.floor(n / factor)))
  const [was, is] = [world(new DataView(file.buffer), lit), world(view, found)]
  const block = [0.5, 0.5, 2].map((mm) => (mm * (factor - 1)) / 2)
  was.forEach((mm, axis) => assert.ok(Math.abs(mm - is[axis]) <= block[axis] + 1e-5, `${was} ${is}`))
  const first = world(view, [0, 0, 0])
  const mid = (factor - 1) / 2
  world(new DataView(file.buffer), [mid, mid, mid]).forEach((mm, axis) => assert.ok(Math.abs(mm - first[axis]) < 1e-5))
})

test('what is no mask is refused', async () => {
  const file = nifti([2, 2, 2], [])
  new DataView(file.buffer).setInt16(70, 16, true)
  await assert.rejects(thinVolume(file.buffer), /mask/)
})

test('an error of the server falls apart into what happened and what would work', () => {
  const failure = Failure.from('skull.nrrd: space directions: 2 vectors, expected 3 (write it again with 3)', 400)
  assert.equal(failure.message, 'skull.nrrd: space directions: 2 vectors, expected 3')
  assert.equal(failure.hint, 'write it again with 3')
  assert.equal(Failure.from('a (b) c', 500, 'wait').message, 'a (b) c')
  assert.equal(Failure.from('a (b) c', 500, 'wait').hint, 'wait')
  assert.equal(Failure.from('mask: 7 values (a CT? use segment (HU) first)', 400).hint, 'a CT? use segment (HU) first')
})

test('a lost connection is reported, and its return', async () => {
  const sources = []
  globalThis.EventSource = class {
    static CLOSED = 2
    readyState = 1
    heard = {}
    constructor() { sources.push(this) }
    addEventListener(name, run) { this.heard[name] = run }
    close() { this.readyState = 2 }
  }
  const log = []
  follow('0'.repeat(32), (job) => log.push(job.state), () => log.push('failed'), (lost) => log.push(lost ? 'lost' : 'back'))
  const [source] = sources
  const job = (state) => source.heard.job({ data: JSON.stringify({ state }) })
  job('running')
  source.readyState = 0
  source.onerror() // the browser connects once more
  source.onerror()
  source.onopen()
  job('running')
  source.onerror()
  job('done')
  source.onerror()
  assert.deepEqual(log, ['running', 'lost', 'back', 'running', 'lost', 'back', 'done'])
})

test('numbers in words', () => {
  assert.deepEqual([0, 999, 35649, 581 * 1024, 512 * 2 ** 20, 3 * 2 ** 30].map(bytes), ['0 B', '999 B', '35 kB', '581 kB', '512 MB', '3.0 GB'])
  assert.deepEqual([0.5, 1, 24, 48, 168].map(hours), ['30 minutes', '1 hour', '24 hours', '2 days', '7 days'])
  assert.equal(number(null, 'mm'), '–')
  assert.equal(number(0.004, 'mm', 2), '0.00 mm')
})

test('an empty implant has measures, too', () => {
  const none = { thickness_mean_mm: null, thickness_max_mm: null, rim_gap_mm: null, rim_contact_frac: null }
  const empty = { ...none, volume_ml: 0, extent_mm: [], components: 0, watertight: false, area_cm2: 0 }
  const rows = Object.fromEntries(measures(empty))
  assert.equal(rows.Extent, '–')
  assert.equal(rows['Rim touching the bone'], '–')
  assert.equal(rows.Pieces, '0')
})

test('the files a visitor wants, the mesh first, and none twice', () => {
  const files = ['input', 'skull.ply', 'report.json', 'implant.nii.gz', 'implant.stl'].map((name) => ({ name }))
  assert.deepEqual(downloads(files).map(([file]) => file.name), ['implant.stl', 'implant.nii.gz', 'report.json'])
})

test('a stroke goes through the slices around it, and is undone and redone whole', () => {
  const dim = [5, 4, 6]
  const labels = new Uint8Array(120)
  const history = new History()
  const before = labels.slice()
  labels[2 + 5 * 1 + 20 * 3] = LABEL.add
  deepen(labels, before, dim, 2, 2)
  assert.deepEqual([...labels.keys()].filter((i) => labels[i]).map((i) => Math.floor(i / 20)), [1, 2, 3, 4, 5])
  assert.ok(history.record(before, labels))
  assert.ok(!history.record(labels, labels), 'nothing changed is no step')
  const now = labels.slice()
  assert.ok(history.undo(labels))
  assert.deepEqual(labels, before)
  assert.ok(!history.undo(labels))
  assert.ok(history.redo(labels))
  assert.deepEqual(labels, now)
  const edge = new Uint8Array(120)
  edge[0] = 2
  deepen(edge, new Uint8Array(120), dim, 0, 9)
  assert.equal(edge.reduce((n, v) => n + (v === 2), 0), 5, 'it ends at the volume')
})

test('a piece is what hangs together by faces; its rim is erased with it', () => {
  const dim = [6, 5, 4]
  const mask = new Uint8Array(120)
  const at = (x, y, z) => (z * dim[1] + y) * dim[0] + x
  for (const [x, y, z] of [[1, 1, 1], [2, 1, 1], [2, 2, 1], [3, 3, 1], [5, 4, 3]]) mask[at(x, y, z)] = 1
  assert.deepEqual(piece(mask, dim, at(1, 1, 1)).sort((a, b) => a - b), [at(1, 1, 1), at(2, 1, 1), at(2, 2, 1)])
  assert.deepEqual(piece(mask, dim, at(0, 0, 0)), [])
  assert.equal(nearest(mask, dim, [4, 4, 3], 1), at(5, 4, 3))
  assert.equal(nearest(mask, dim, [0, 4, 3], 1), -1)
  const labels = new Uint8Array(120)
  erasePiece(labels, [at(5, 4, 3)], dim)
  assert.deepEqual([...labels.keys()].filter((i) => labels[i] === LABEL.remove), [at(5, 4, 2), at(5, 3, 3), at(4, 4, 3), at(5, 4, 3)])
})

test('the list of this browser: the newest first, each once, and what is no list is none', () => {
  const kept = new Map()
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text) }
  const job = (digit) => ({ id: digit.repeat(32), name: `${digit}.nii.gz`, created: '2026-01-01T00:00:00Z', model: 'first' })
  remember(job('1'), storage)
  remember(job('2'), storage)
  remember({ ...job('1'), model: 'other' }, storage)
  assert.deepEqual(mine(storage).map(({ name, model }) => [name, model]), [['2.nii.gz', 'first'], ['1.nii.gz', 'other']])
  forget('2'.repeat(32), storage)
  assert.equal(mine(storage).length, 1)
  storage.setItem('calvaria.skulls', '[{"id": "../x"}]')
  assert.deepEqual(mine(storage), [])
  storage.setItem('calvaria.skulls', 'nonsense')
  assert.deepEqual(mine(storage), [])
})

test('metrics.tsv becomes curves: rows of validation do not break the training curve', () => {
  const table = readTable('step\tloss\tval_loss\n1\t4\t\n2\t2\t\n2\t\t3\n3\t1\t\n')
  assert.deepEqual(series(table, 'loss'), [[1, 4], [2, 2], [3, 1]])
  assert.deepEqual(series(table, 'val_loss'), [[2, 3]])
  assert.deepEqual(series(table, 'absent'), [])
  assert.deepEqual(smooth([[1, 4], [2, 2]], 1), [[1, 4], [2, 2]])
  assert.deepEqual(smooth([[1, 4], [2, 2]], 2), [[1, 4], [2, 3]])
  assert.deepEqual(ticks(0, 10), [0, 2, 4, 6, 8, 10])
  assert.deepEqual(ticks(3, 3), [3])
})

runAll()
