// Makes the page: node build.mjs OUT. Bundles src/ with NiiVue (app.js; viewer-*.js is fetched when there is something to draw), copies what
// is served as it is, adds the licence texts of everything bundled, and gzips each file beside itself.
import { build } from 'esbuild'
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const here = dirname(fileURLToPath(import.meta.url))
const out = resolve(process.argv[2] ?? join(here, 'web'))

// The colours of pictures and report: COLOUR_BONE and so on are lists of red, green, blue, alpha in src/.
async function colours() {
  const text = await readFile(process.env.COLOURS ?? join(here, '../../data/picture/colours.h'), 'utf8')
  const rows = [...text.matchAll(/^#define (COLOUR_\w+) \{(\d+), (\d+), (\d+)\}/gm)]
  if (!rows.length) throw new Error('data/picture/colours.h defines no colour')
  return Object.fromEntries(rows.map(([, name, ...rgb]) => [name, `[${rgb.join(',')},255]`]))
}

async function bundle() {
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: ['src/app.js', 'src/runs.js'],
    outdir: out,
    bundle: true,
    define: await colours(),
    splitting: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    metafile: true,
    legalComments: 'none',
    chunkNames: 'viewer-[hash]',
    external: ['numcodecs/*'], // decoders of Zarr, which the page never opens
    logLevel: 'warning',
  })
  const packages = new Set()
  for (const input of Object.keys(metafile.inputs)) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]
    if (name) packages.add(name)
  }
  return [...packages].sort()
}

async function licence(name) {
  const folder = join(here, 'node_modules', name)
  const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const file = (await readdir(folder)).find((entry) => /^licen[sc]e/i.test(entry))
  const path = file ? join(folder, file) : join(here, 'licences', `${name.split('/').pop()}.txt`)
  return `${name} ${version} (${license})\n\n${(await readFile(path, 'utf8')).trim()}\n`
}

async function compress(folder) {
  for (const name of await readdir(folder)) {
    await writeFile(join(folder, `${name}.gz`), gzipSync(await readFile(join(folder, name)), { level: 9 }))
  }
}

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const packages = await bundle()
const texts = await Promise.all(packages.map(licence))
await writeFile(join(out, 'licences.txt'), `The page is part of calvaria (MIT). It contains:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`)
for (const name of ['index.html', 'runs.html', 'style.css', 'icon.svg']) await copyFile(join(here, name), join(out, name))
await compress(out)
