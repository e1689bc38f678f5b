// pictures.mjs - the pictures of docs/page.md: one result in light colours, the same in dark ones, cut open, behind glass.
//   export CALVARIA_SKULL=$PWD/skull_defective.nii.gz CALVARIA_SHOTS=$PWD/docs/img CALVARIA_MODEL=$PWD/models/default.h5
//   tests/browser/run.sh build/calvaria build pictures.mjs
import { join } from 'node:path'
import { clean, launch, serveModel, visitor } from './stage.mjs'

const { CALVARIA_SKULL, CALVARIA_SHOTS, CALVARIA_MODEL } = process.env
if (!CALVARIA_SKULL || !CALVARIA_SHOTS || !CALVARIA_MODEL) throw new Error('needed: CALVARIA_SKULL, a defective skull; CALVARIA_MODEL; CALVARIA_SHOTS, a folder')
const url = await serveModel(CALVARIA_MODEL)
const browser = await launch()
try {
  let address = url
  for (const [name, colorScheme] of [['page', 'light'], ['page_dark', 'dark']]) {
    const page = await visitor(browser, address, { viewport: { width: 1280, height: 900 }, colorScheme })
    if (address === url) await page.setInputFiles('#file', CALVARIA_SKULL)
    await page.waitForSelector('#views[data-ready=yes]', { timeout: 300000 })
    address = page.url()
    if (colorScheme === 'dark') {
      await page.fill('#skull-opacity', '35')
      await page.selectOption('#cut-side', 'top')
      await page.fill('#cut-depth', '20')
    }
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
    await page.screenshot({ path: join(CALVARIA_SHOTS, `${name}.png`), fullPage: true, timeout: 300000 })
  }
} finally {
  await clean(browser)
}
