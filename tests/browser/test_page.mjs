// test_page.mjs - the page of calvaria serve as visitors use it. usage: node test_page.mjs CALVARIA CHROMIUM (run.sh does it)
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { assert, runAll, test } from './check.mjs'
import { clean, launch, made, makeSkull, see, serve, sha256, upperRight, visitor, work } from './stage.mjs'

const skull = makeSkull()
const url = await serve()
const browser = await launch()
const state = (page, name) => page.waitForSelector(`body[data-state=${name}]`)
const drawn = async (page) => {
  await state(page, 'result')
  await page.waitForSelector('#views[data-ready=yes]', { timeout: 300000 })
}
const result = {} // id: of the first visitor's job; other: a second visitor
let first // a visitor

test('the start page says what it is, and works by keyboard', async () => {
  first = await visitor(browser, url)
  await state(first, 'start')
  assert.match(await first.textContent('#notice'), /not for clinical use/i)
  const order = []
  for (let i = 0; i < 4; i++) {
    await first.keyboard.press('Tab')
    order.push(await first.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.className))
  }
  assert.deepEqual(order, ['brand', 'file', 'kind', 'example'])
  assert.equal(await first.evaluate(() => getComputedStyle(document.querySelector('#example')).visibility), 'visible')
  assert.match(await first.textContent('#limit'), /512 MB/)
  await first.check('[value=ct]')
  assert.ok(await first.isVisible('#hu'))
  await first.check('[value=skull]')
  assert.ok(!(await first.isVisible('#hu')))
})

test('an upload behind another visitor\'s: place in the queue, reload in the middle, result', async () => {
  const other = await visitor(browser, url)
  await state(other, 'start')
  await other.click('#example')
  await other.waitForFunction(() => /restor|starting|example|read|measur/i.test(document.querySelector('#stage').textContent))
  await first.setInputFiles('#file', skull)
  await first.waitForFunction(() => location.hash && /place 1|Starting|Reading|Restoring/.test(document.querySelector('#stage').textContent))
  const address = first.url()
  assert.match(address, /#job=[0-9a-f]{32}$/)
  assert.notEqual(address, other.url())
  await first.reload()
  assert.equal(first.url(), address)
  await drawn(first)
  assert.match(await first.textContent('#status'), /ready/)
  assert.equal(await first.textContent('#result [data-name]'), basename(skull), 'the whole file name')
  assert.match(await first.textContent('#result [data-date]'), /Uploaded .*20\d\d/)
  result.id = address.slice(-32)
  await drawn(other)
  result.other = other
})

test('every view is drawn', async () => {
  for (const view of ['defective', 'completed', 'implant', 'slices']) {
    const seen = await see(first, view)
    assert.ok(seen.drawn > (view === 'slices' ? 0.02 : 0.1), `${view}: ${seen.drawn} of the pixels differ from the background`)
    if (view === 'implant' || view === 'slices') assert.ok(seen.implant.count > 100, `${view}: ${seen.implant.count} pixels of implant`)
    else assert.equal(seen.implant.count, 0, view)
  }
})

test('nothing is mirrored: a hole on the right is on the right', async () => {
  const letter = (side) => first.textContent(`figure[data-view=implant] .mark.${side}`)
  for (const [direction, side] of [['front', 'left'], ['back', 'right']]) {
    await first.click(`[data-look=${direction}]`)
    const { implant } = await see(first, 'implant')
    assert.equal(await letter(side), 'R', `seen from the ${direction}`)
    assert.ok(implant.count > 50 && (side === 'left' ? implant.x < 0.45 : implant.x > 0.55), `seen from the ${direction}: implant at ${implant.x}`)
  }
  await first.click('[data-look=right]')
  const facing = await see(first, 'implant') // drawn anew, its letters too
  assert.deepEqual([await letter('left'), await letter('right'), await letter('top')], ['P', 'A', 'S'])
  await first.click('[data-look=left]')
  const away = await see(first, 'implant')
  assert.ok(facing.implant.count > 5 * Math.max(1, away.implant.count), `from the right ${facing.implant.count}, left ${away.implant.count}`)

  const { bone, implant, letters, height } = await see(first, 'slices')
  assert.ok(bone.length >= 2, `${bone.length} slices with bone`)
  const [from, to] = bone[0]
  const inFirst = implant.columns.filter((x) => x >= from - 12 && x <= to + 12)
  assert.ok(inFirst.length > 20 && inFirst.every((x) => x < (from + to) / 2), 'the axial slice has the implant on the left')
  // The axial slice fills the canvas's height: its letters stand half way up.
  const middle = letters.filter(([, y]) => Math.abs(y - height / 2) < 14)
  const left = middle.filter(([x]) => x < from)
  const right = middle.filter(([x]) => x > to && x < bone[1][0])
  assert.ok(left.length > 5 && right.length > 5, 'letters beside the axial slice')
  const r = upperRight(left, left[0], 14)
  const l = upperRight(right, right[0], 14)
  assert.ok(r > 0.15 && l < 0.05, `left letter is R (${r}), right letter is L (${l})`)
})

test('the views are linked; keys, opacity and cut change them', async () => {
  await first.click('[data-look=front]')
  const before = await see(first, 'completed')
  await first.focus('figure[data-view=defective] canvas')
  for (let i = 0; i < 6; i++) await first.keyboard.press('ArrowLeft')
  const turned = await see(first, 'completed')
  assert.notDeepEqual(turned.bone, before.bone, 'turning one skull turns the others')
  await first.click('[data-look=left]')
  await first.fill('#skull-opacity', '25')
  const glass = await see(first, 'implant')
  assert.ok(glass.implant.count > 200, `behind glass the implant is seen: ${glass.implant.count}`)
  await first.fill('#skull-opacity', '100')
  const whole = await see(first, 'completed')
  await first.selectOption('#cut-side', 'top')
  await first.fill('#cut-depth', '60')
  const half = await see(first, 'completed')
  assert.ok(half.drawn < 0.75 * whole.drawn, `cut: ${half.drawn} of ${whole.drawn} is left`)
  await first.selectOption('#cut-side', 'none')
  const slices = await see(first, 'slices')
  await first.fill('#implant-opacity', '0')
  assert.equal((await see(first, 'slices')).implant.count, 0)
  await first.fill('#implant-opacity', '100')
  assert.ok(Math.abs((await see(first, 'slices')).implant.count - slices.implant.count) < 50)
})

test('the wheel scrolls the page over a view that was not clicked, and zooms a clicked one', async () => {
  await first.click('[data-look=left]')
  await first.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0) })
  const whole = await see(first, 'completed')
  await first.hover('figure[data-view=completed] canvas')
  const before = await first.evaluate(() => scrollY)
  await first.mouse.wheel(0, 120)
  await first.waitForFunction((y) => scrollY > y, before)
  const same = await see(first, 'completed')
  assert.ok(Math.abs(same.drawn - whole.drawn) < 0.02, 'not zoomed')
  await first.click('figure[data-view=completed] canvas')
  const at = await first.evaluate(() => scrollY)
  for (let i = 0; i < 4; i++) await first.mouse.wheel(0, -120)
  const near = await see(first, 'completed')
  assert.ok(near.drawn > 1.1 * whole.drawn, `forwards is nearer: ${near.drawn} of ${whole.drawn}`)
  assert.equal(await first.evaluate(() => scrollY), at, 'the page stays')
  for (let i = 0; i < 8; i++) await first.mouse.wheel(0, 120)
  const far = await see(first, 'completed')
  assert.ok(far.drawn < whole.drawn, `backwards is farther: ${far.drawn} of ${whole.drawn}`)
  await first.click('[data-look=left]')
})

test('the downloads are what calvaria infer writes', async () => {
  const expected = {
    'implant.stl': made('nifti', 'implant.stl'),
    'implant.nii.gz': made('nifti', 'implant.nii.gz'),
    'completed.nii.gz': made('nifti', 'completed.nii.gz'),
    'implant.nrrd': made('nrrd', 'implant.nrrd'),
    'completed.nrrd': made('nrrd', 'completed.nrrd'),
  }
  const links = await first.$$eval('#files a[download]', (all) => all.map((a) => a.getAttribute('href')))
  for (const [name, data] of Object.entries(expected)) {
    const [file, extension] = [name.split('.')[0], name.slice(name.indexOf('.') + 1)]
    const href = links.find((link) => (extension === 'stl' ? link.endsWith(name) : link.endsWith(`/${file}?format=${extension}`)))
    assert.ok(href, `a link to ${name} among ${links}`)
    const [download] = await Promise.all([first.waitForEvent('download'), first.click(`#files a[href="${href}"]`)])
    assert.ok(download.suggestedFilename().endsWith(`_${name}`), download.suggestedFilename())
    assert.equal(sha256(readFileSync(await download.path())), sha256(data), name)
  }
})

test('the measurements are the report\'s', async () => {
  const report = JSON.parse(made('nifti', 'report.json'))
  const cells = await first.$$eval('#measures div', (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)))
  const shown = Object.fromEntries(cells)
  assert.equal(shown.Volume, `${report.implant.volume_ml.toFixed(1)} ml`)
  assert.equal(shown.Extent, `${report.implant.extent_mm.map((mm) => Math.round(mm)).join(' × ')} mm`)
  assert.equal(shown['Thickness, mean'], `${report.implant.thickness_mean_mm.toFixed(1)} mm`)
  assert.equal(shown['Watertight mesh'], 'yes')
})

test('a file that is no skull: what is wrong and what to do', async () => {
  const page = await visitor(browser, url)
  await state(page, 'start')
  const broken = join(work, 'broken.nii.gz')
  writeFileSync(broken, 'this is no skull')
  await page.setInputFiles('#file', broken)
  await state(page, 'problem')
  assert.ok((await page.textContent('#problem-text')).length > 10)
  assert.ok((await page.textContent('#problem-hint')).length > 10, 'there is advice')
  assert.ok(await page.evaluate(() => document.activeElement.id === 'problem-title'))
  const empty = join(work, 'empty.nrrd')
  writeFileSync(empty, '')
  await page.click('#again')
  await state(page, 'start')
  await page.setInputFiles('#file', empty)
  await state(page, 'problem')
  assert.match(await page.textContent('#problem-text'), /empty/)
  assert.deepEqual(page.wrong, [])
})

test('at 360 pixels nothing is cut off, and the tabs show one view each', async () => {
  const page = await visitor(browser, url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: 'dark' })
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth)
  await state(page, 'start')
  assert.equal(await wide(), 360)
  await page.goto(`${url}#job=${result.id}`)
  await drawn(page)
  assert.equal(await wide(), 360)
  for (const view of ['defective', 'slices', 'implant']) {
    await page.check(`[name=tab][value=${view}]`)
    assert.deepEqual(await page.$$eval('figure[data-view]', (all) => all.filter((f) => getComputedStyle(f).visibility === 'visible').map((f) => f.dataset.view)), [view])
    assert.ok((await see(page, view)).drawn > 0.02, view)
  }
  assert.deepEqual(page.wrong, [])
})

test('a server with a token asks for it, and a file over its limit is not even sent', async () => {
  writeFileSync(join(work, 'token'), 'correct-horse-battery-staple\n')
  const guarded = await serve('--token-file', join(work, 'token'), '--max-upload', '10K')
  const page = await visitor(browser, guarded)
  await state(page, 'token')
  await page.fill('#token-field', 'wrong')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => /not the token/.test(document.querySelector('#token-wrong').textContent))
  await page.fill('#token-field', 'correct-horse-battery-staple')
  await page.keyboard.press('Enter')
  await state(page, 'start')
  await page.reload()
  await state(page, 'start')
  const large = join(work, 'large.nrrd')
  writeFileSync(large, Buffer.alloc(20000))
  await page.setInputFiles('#file', large)
  await state(page, 'problem')
  assert.match(await page.textContent('#problem-text'), /20 kB, more than the 10 kB/)
  assert.deepEqual(page.wrong, [])
})

test('delete my data removes it for good, and no one else\'s', async () => {
  await first.click('#delete')
  assert.equal(await first.evaluate(() => document.activeElement.id), 'confirm-no')
  await first.click('#confirm-yes')
  await state(first, 'start')
  assert.equal((await fetch(`${url}api/jobs/${result.id}`)).status, 404)
  assert.equal((await fetch(`${url}api/jobs/${result.other.url().slice(-32)}`)).status, 200)
  await first.goto(`${url}#job=${result.id}`)
  await state(first, 'problem')
  assert.ok((await first.textContent('#problem-hint')).length > 10)
  assert.deepEqual(first.wrong, [])
  assert.deepEqual(result.other.wrong, [])
})

await runAll({ timeout_s: 300, after: () => clean(browser) })
