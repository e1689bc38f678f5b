// test_page_tools.mjs - what a visitor does with a result: settings, edits, measures, windows, the list, a comparison; and the live page
// of trainings. usage: node test_page_tools.mjs CALVARIA CHROMIUM (run.sh does it)
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { assert, runAll, test } from './check.mjs'
import { clean, launch, made, makeSkull, see, serve, sha256, visitor, work } from './stage.mjs'

const skull = makeSkull()

// One run, as a training writes it.
mkdirSync(join(work, 'runs', 'first', 'validation'), { recursive: true })
writeFileSync(join(work, 'runs', 'first', 'STATUS'), 'state: finished\nstep: 3\nsteps: 3\nbest: { metric: dsc, value: 0.75, step: 2 }\n')
writeFileSync(join(work, 'runs', 'first', 'metrics.tsv'), 'step\tdraw\tloss\tlr\tval_loss\tval_dsc\n1\t0\t2\t0.1\t\t\n2\t0\t1\t0.1\t\t\n2\t\t\t\t1.5\t0.75\n3\t0\t0.5\t0.1\t\t\n')
const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64')
writeFileSync(join(work, 'runs', 'first', 'validation', 'step_000002.png'), pixel)

const url = await serve('--model', 'builtin:nothing', '--runs', join(work, 'runs'), '--queue', '2')
const browser = await launch()
const state = (page, name) => page.waitForSelector(`body[data-state=${name}]`)
const drawn = async (page) => {
  await state(page, 'result')
  await page.waitForSelector('#views[data-ready=yes]', { timeout: 300000 })
}
// Until the revision that was asked for has ended and its views are drawn.
const anew = async (page, press) => {
  await Promise.all([page.waitForSelector('#revising:not([hidden])'), press()])
  await page.waitForSelector('#revising', { state: 'hidden', timeout: 300000 })
  await drawn(page)
}
const job = async (id) => (await fetch(`${url}api/jobs/${id}`)).json()
const stl = async (id) => sha256(Buffer.from(await (await fetch(`${url}api/jobs/${id}/implant.stl`)).arrayBuffer()))
let page
let id

test('settings change the implant as calvaria infer would, without the network', async () => {
  page = await visitor(browser, url)
  await state(page, 'start')
  assert.ok(await page.isVisible('#model'), 'two models: there is a choice')
  await page.setInputFiles('#file', skull)
  await drawn(page)
  id = page.url().slice(-32)
  assert.equal(await stl(id), sha256(made('nifti', 'implant.stl')))
  assert.ok(!(await page.isVisible('#window-preset')), 'a mask has no window')
  await page.fill('#adjust-clearance', '2.5')
  await page.check('#adjust-insertable')
  await anew(page, () => page.click('#adjust-apply'))
  assert.equal(await page.textContent('#revise-wrong'), '')
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#stl')])
  assert.equal(sha256(readFileSync(await download.path())), sha256(made('gap', 'implant.stl')))
  assert.equal(await page.inputValue('#adjust-clearance'), '2.5')
})

test('a stroke is painted, undone, redone and applied; the report says so; the prediction returns', async () => {
  await page.evaluate(() => document.querySelector('#slices-canvas').scrollIntoView({ block: 'center' }))
  await page.click('#edit-open')
  await page.fill('#edit-depth', '20')
  const box = await page.locator('#slices-canvas').boundingBox()
  const { implant } = await see(page, 'slices')
  assert.ok(implant.pixels.length > 20)
  const [x, y] = implant.pixels[Math.floor(implant.pixels.length / 2)]
  const stroke = async (dx) => {
    await page.mouse.move(box.x + x, box.y + y)
    await page.mouse.down()
    await page.mouse.move(box.x + x + dx / 2, box.y + y)
    await page.mouse.move(box.x + x + dx, box.y + y)
    await page.mouse.up()
    await page.waitForFunction(() => !document.querySelector('#edit-undo').disabled)
  }
  await page.check('[name=brush][value=remove]')
  await stroke(12)
  await page.click('#edit-undo')
  assert.ok(await page.isDisabled('#edit-undo'))
  assert.ok(await page.isDisabled('#edit-apply'), 'nothing to apply')
  await page.click('#edit-redo')
  await anew(page, () => page.click('#edit-apply'))
  const edited = await job(id)
  assert.ok(edited.settings.edited && edited.settings.clearance_mm === 2.5, JSON.stringify(edited.settings))
  const report = await (await fetch(`${url}api/jobs/${id}/report.json`)).json()
  assert.ok(report.edit.removed_ml > 0.05, JSON.stringify(report.edit))
  assert.equal(report.edit.added_ml, 0)
  assert.match(await page.textContent('#warnings'), /edited by hand/)
  assert.match(await page.textContent('#result-model'), /edited by hand/)
  assert.notEqual(await stl(id), sha256(made('gap', 'implant.stl')))

  // Opened once more the labels are there, and a whole piece goes by a click.
  await page.click('#edit-open')
  await page.check('[name=brush][value=piece]')
  const again = (await see(page, 'slices')).implant.pixels
  const [u, v] = again[Math.floor(again.length / 2)]
  await page.mouse.click(box.x + u, box.y + v)
  await page.waitForFunction(() => !document.querySelector('#edit-undo').disabled)
  await anew(page, () => page.click('#edit-apply'))
  const emptied = await (await fetch(`${url}api/jobs/${id}/report.json`)).json()
  assert.ok(emptied.edit.removed_ml > 5 * report.edit.removed_ml, JSON.stringify(emptied.edit))
  await page.click('#edit-open')
  await anew(page, () => page.click('#edit-drop'))
  assert.equal(await stl(id), sha256(made('gap', 'implant.stl')))
})

test('one view alone, full size; a distance is measured', async () => {
  const height = () => page.evaluate(() => document.querySelector('#slices-canvas').getBoundingClientRect().height)
  const before = await height()
  await page.click('[data-full-view=slices]')
  assert.ok((await height()) > 1.4 * before, `${await height()} of ${before}`)
  await page.selectOption('#layout', 'axial')
  await page.check('[name=drag][value=distance]')
  await page.evaluate(() => document.querySelector('#slices-canvas').scrollIntoView({ block: 'center' }))
  const box = await page.locator('#slices-canvas').boundingBox()
  const none = await see(page, 'slices')
  await page.mouse.move(box.x + 0.45 * box.width, box.y + 0.4 * box.height)
  await page.mouse.down()
  for (const k of [1, 2, 3]) await page.mouse.move(box.x + (0.45 + 0.03 * k) * box.width, box.y + (0.4 + 0.05 * k) * box.height)
  await page.mouse.up()
  assert.ok((await see(page, 'slices')).yellow > none.yellow + 30, 'a line and its length')
  await page.click('#measure-clear')
  assert.ok((await see(page, 'slices')).yellow <= none.yellow + 5)
  await page.keyboard.press('Escape')
  assert.ok((await height()) < 1.2 * before)
})

test('several files are queued, this browser lists them, two are compared', async () => {
  await page.click('#another')
  await state(page, 'start')
  assert.equal(await page.locator('#mine-rows tr').count(), 1)
  await page.selectOption('#model', 'nothing')
  const copies = ['second.nii.gz', 'third.nii.gz', 'fourth.nii.gz'].map((name) => join(work, name))
  for (const copy of copies) writeFileSync(copy, readFileSync(skull))
  await page.setInputFiles('#file', copies)
  await page.waitForFunction(() => document.querySelectorAll('#mine-rows a').length === 4 && document.querySelectorAll('#mine-rows input:not(:disabled)').length === 4, null, { timeout: 300000 })
  const text = await page.textContent('#mine-rows')
  for (const name of ['second.nii.gz', 'fourth.nii.gz', basename(skull)]) assert.ok(text.includes(name), `${name} in ${text}`)
  assert.match(text, /nothing.*done, no implant/)
  await page.check(`[aria-label="Compare ${basename(skull)}"]`)
  await page.check('[aria-label="Compare third.nii.gz"]')
  await page.click('#mine-compare')
  await state(page, 'compare')
  await page.waitForSelector('#compare-views[data-ready=yes]', { timeout: 300000 })
  const rows = await page.$$eval('#compare-rows tr', (all) => all.map((row) => [...row.children].map((cell) => cell.textContent)))
  assert.deepEqual(rows[0], ['Model', 'mirror', 'nothing'])
  assert.match(rows[1][1], /^[1-9].* ml$/)
  assert.equal(rows[1][2], '0.0 ml')
  await page.goBack()
  await state(page, 'start')
  await page.click('[aria-label="Delete third.nii.gz"]')
  await page.waitForFunction(() => document.querySelectorAll('#mine-rows tr').length === 3)
  assert.deepEqual(page.wrong, [])
})

test('another model restores the same upload', async () => {
  await page.goto(`${url}#job=${id}`)
  await drawn(page)
  await page.selectOption('#other-model', 'nothing')
  await page.click('#other-make')
  await page.waitForFunction((before) => location.hash && !location.hash.endsWith(before), id)
  await drawn(page)
  assert.match(await page.textContent('#result-model'), /nothing/)
  assert.ok(!(await page.isVisible('#stl')))
})

test('of a CT the grey values lie behind the slices, and the window changes them', async () => {
  const n = 44
  const ct = new Int16Array(n ** 3)
  for (let z = 0, i = 0; z < n; z++) for (let y = 0; y < n; y++) for (let x = 0; x < n; x++, i++) {
    const r = Math.hypot(x - 22, y - 22, z - 20)
    ct[i] = r > 19 ? -1000 : r > 17 && !(x > 30 && z > 24) ? 800 : 40
  }
  const header = `NRRD0004\ntype: short\ndimension: 3\nsizes: ${n} ${n} ${n}\nspace: left-posterior-superior\n` +
    'space directions: (4.5,0,0) (0,4.5,0) (0,0,4.5)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n\n'
  writeFileSync(join(work, 'head_ct.nrrd'), Buffer.concat([Buffer.from(header), Buffer.from(ct.buffer)]))
  await page.click('#another')
  await state(page, 'start')
  await page.selectOption('#model', 'mirror')
  await page.setInputFiles('#file', join(work, 'head_ct.nrrd'))
  await drawn(page)
  assert.ok(await page.isVisible('#window-preset'))
  assert.equal(await page.inputValue('#window-level'), '500')
  const bone = await see(page, 'slices')
  await page.selectOption('#window-preset', 'brain')
  assert.equal(await page.inputValue('#window-width'), '80')
  const brain = await see(page, 'slices')
  assert.ok(brain.mean > 1.3 * bone.mean, `the brain is brighter in its window: ${brain.mean} of ${bone.mean}`)
  assert.deepEqual(page.wrong, [])
})

test('the live page of trainings: the table, curves, a picture; nothing wider than a phone', async () => {
  const phone = await visitor(browser, url, { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true })
  await phone.goto(`${url}runs.html`)
  await phone.waitForSelector('#charts svg')
  assert.match(await phone.textContent('#runs-rows'), /first.*finished.*3 \/ 3.*dsc 0\.75/)
  assert.ok((await phone.locator('#charts svg').count()) >= 3)
  await phone.waitForFunction(() => document.querySelector('#picture').naturalWidth === 1)
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 390)
  assert.deepEqual(phone.wrong, [])
})

await runAll({ timeout_s: 400, after: () => clean(browser) })
