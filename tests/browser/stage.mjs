// stage.mjs - what the browser tests stand on: servers on free ports, skulls, a browser, and canvases as numbers.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [, , calvaria, executablePath] = process.argv
export const work = mkdtempSync(join(tmpdir(), 'calvaria_browser_'))
const servers = []

export const run = (...args) => execFileSync(calvaria, [...args, '--quiet'], { cwd: work, stdio: ['ignore', 'pipe', 'inherit'] })
export const sha256 = (data) => createHash('sha256').update(data).digest('hex')

// A phantom skull whose patient's right side misses a piece; and what `calvaria infer` makes of it, in both formats.
export function makeSkull() {
  writeFileSync(join(work, 'right.yaml'), 'defects: [ { type: region, class: parietotemporal, side: right } ]\n')
  run('phantom', '--out', 'skulls', '--count', '1', '--seed', '5', '--spacing-mm', '2')
  run('inject', 'skulls/phantom_000.nii.gz', '--defects', 'right.yaml', '--out', 'right', '--seed', '3')
  const skull = join(work, 'right', readdirSync(join(work, 'right')).find((name) => name.includes('_defective')))
  run('infer', '--model', 'builtin:mirror', skull, '--out', 'nifti', '--no-picture')
  run('infer', '--model', 'builtin:mirror', skull, '--out', 'nrrd', '--no-picture', '--format', 'nrrd')
  run('infer', '--model', 'builtin:mirror', skull, '--out', 'gap', '--no-picture', '--clearance-mm', '2.5', '--insertable')
  return skull
}

// The file `infer` wrote: made('nifti', 'implant.stl').
export function made(folder, ending) {
  return readFileSync(join(work, folder, readdirSync(join(work, folder)).find((name) => name.endsWith(`_${ending}`))))
}

export function serve(...options) {
  return serveModel('builtin:mirror', ...options)
}

export function serveModel(model, ...options) {
  const child = spawn(calvaria, ['serve', '--model', model, '--port', '0', '--state', mkdtempSync(join(work, 'state_')), ...options])
  servers.push(child)
  return new Promise((resolve, reject) => {
    let said = ''
    const read = (data) => {
      said += data
      const url = /http:\/\/[0-9.:[\]]+\//.exec(said)?.[0]
      if (url) resolve(url)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', (code) => reject(new Error(`calvaria serve ended (${code}): ${said}`)))
  })
}

// Without a graphics card: ANGLE on SwiftShader, in software.
export function launch() {
  const args = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']
  if (process.getuid() === 0) args.push('--no-sandbox')
  return chromium.launch({ executablePath, args, timeout: 120000 })
}

export async function clean(browser) {
  await browser?.close()
  for (const child of servers) child.kill('SIGKILL')
  rmSync(work, { recursive: true, force: true })
}

// A page that keeps what it must not do: talk to another host, log errors.
export async function visitor(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(300000)
  page.wrong = []
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) page.wrong.push(`asked another host: ${request.url()}`)
  })
  page.on('pageerror', (error) => page.wrong.push(`threw: ${error.message}`))
  page.on('console', (message) => {
    const expected = /status of 4[0-9][0-9]|GPU stall due to ReadPixels/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !expected) page.wrong.push(`said: ${message.text()}`)
  })
  await page.goto(url)
  return page
}

// What is seen of a canvas, decoded by the browser itself:
//   drawn: share of pixels unlike the background; implant: pixels in the implant's colour, and their mean x, 0 (left) to 1;
//   implant.pixels: where they are; yellow: pixels of measured lines; mean: brightness, 0 to 255;
//   bone: [first, last] columns of each group of bone-coloured ones, left to right; ink(x0, x1): see below.
export async function see(page, view) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  const png = await page.locator(`figure[data-view=${view}] canvas`).screenshot({ timeout: 300000 })
  if (process.env.CALVARIA_SHOTS) writeFileSync(join(process.env.CALVARIA_SHOTS, `${view}-${Date.now()}.png`), png)
  const viewer = (page.viewer ??= await page.context().newPage())
  return viewer.evaluate(async (encoded) => {
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0))
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
    const { width, height } = image
    const paper = new OffscreenCanvas(width, height).getContext('2d')
    paper.drawImage(image, 0, 0)
    const { data } = paper.getImageData(0, 0, width, height)
    const columns = new Array(width).fill(0)
    const implantX = []
    const pixels = []
    let yellow = 0
    let sum = 0
    const letters = []
    const ground = data.subarray(4 * (6 * width + 6)) // beside the focus ring
    let drawn = 0
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b] = data.subarray(i, i + 3)
      const x = (i / 4) % width
      sum += r + g + b
      if (Math.abs(r - ground[0]) + Math.abs(g - ground[1]) + Math.abs(b - ground[2]) > 30) drawn++
      if (r > 220 && g > 170 && b < 110) yellow++
      else if (r - g > 45 && r - b > 60) {
        implantX.push(x)
        pixels.push([x, Math.floor(i / 4 / width)])
      }
      else if (r > 150 && r > b + 12 && r - g < 40) columns[x]++
      else if (b > 110 && b > r + 8 && b - r < 40) letters.push([x, Math.floor(i / 4 / width)])
    }
    const bone = []
    for (let x = 0, gap = 99; x < width; x++) {
      if (columns[x] > 2) {
        if (gap > 12) bone.push([x, x])
        bone.at(-1)[1] = x
        gap = 0
      } else gap++
    }
    const mean = implantX.reduce((sum, x) => sum + x, 0) / implantX.length
    return { width, height, drawn: drawn / (width * height), implant: { count: implantX.length, x: mean / width, columns: implantX, pixels }, yellow, mean: sum / (3 * width * height), bone, letters }
  }, png.toString('base64'))
}

// Share of ink in the upper right quarter of the letter nearest to a place: an R has a bowl there, an L nothing.
export function upperRight(letters, [x, y], reach) {
  const near = letters.filter(([u, v]) => Math.abs(u - x) < reach && Math.abs(v - y) < reach)
  if (near.length < 5) return NaN
  const [left, right] = [Math.min(...near.map(([u]) => u)), Math.max(...near.map(([u]) => u))]
  const [top, bottom] = [Math.min(...near.map(([, v]) => v)), Math.max(...near.map(([, v]) => v))]
  const quarter = near.filter(([u, v]) => u > (left + right) / 2 && v < (top + bottom) / 2)
  return quarter.length / near.length
}
