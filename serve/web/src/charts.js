// charts.js - curves of metrics.tsv as SVG: pure functions from text to numbers, and from numbers to marks.

// { columns: { name: Float64Array }, n }: an empty cell is NaN.
export function readTable(text) {
  const lines = text.split('\n').filter(Boolean)
  const names = (lines.shift() ?? '').split('\t')
  const columns = Object.fromEntries(names.map((name) => [name, new Float64Array(lines.length).fill(NaN)]))
  lines.forEach((line, row) => line.split('\t').forEach((cell, k) => {
    if (cell !== '' && names[k] !== undefined) columns[names[k]][row] = Number(cell)
  }))
  return { columns, n: lines.length }
}

// The points of a column that have a value.
export function series({ columns, n }, name) {
  const points = []
  for (let i = 0; i < n; i++) if (Number.isFinite(columns[name]?.[i])) points.push([columns.step[i], columns[name][i]])
  return points
}

// An exponential mean over about `window` points, which begins at the first value.
export function smooth(points, window) {
  const keep = 1 - 1 / Math.max(1, window)
  let mean = points[0]?.[1]
  return points.map(([x, y]) => [x, (mean = keep * mean + (1 - keep) * y)])
}

// About n round numbers in [low, high].
export function ticks(low, high, n = 5) {
  if (!(high > low)) return [low]
  const raw = (high - low) / n
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((k) => k * power).find((value) => value >= raw)
  const out = []
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) out.push(Math.abs(value) < step * 1e-9 ? 0 : value)
  return out
}

const NS = 'http://www.w3.org/2000/svg'

function mark(name, attributes, text = '') {
  const made = document.createElementNS(NS, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.textContent = text
  return made
}

const label = (value) => String(Number(value.toPrecision(3)))

// lines: [{ title, points, kind: 'line' | 'faint' | 'dots' }]; log: a logarithmic axis where every value is above 0.
export function chart(title, lines, { log = false } = {}) {
  const [width, height, left, right, top, bottom] = [560, 290, 56, 12, 34, 34]
  const shown = lines.filter(({ points }) => points.length)
  const all = shown.flatMap(({ points }) => points)
  const figure = document.createElement('figure')
  figure.className = 'card chart'
  figure.append(Object.assign(document.createElement('figcaption'), { textContent: title }))
  if (!all.length) {
    figure.append(Object.assign(document.createElement('p'), { className: 'hint', textContent: 'No values yet.' }))
    return figure
  }
  const logged = log && all.every(([, y]) => y > 0)
  const up = (y) => (logged ? Math.log10(y) : y)
  const range = (k, f = (v) => v) => all.reduce(([low, high], point) => [Math.min(low, f(point[k])), Math.max(high, f(point[k]))], [Infinity, -Infinity])
  let [x0, x1] = range(0)
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1]
  let [y0, y1] = range(1, up)
  if (y1 - y0 < 1e-12) [y0, y1] = [y0 - 0.5, y1 + 0.5]
  const px = (x) => left + ((x - x0) / (x1 - x0 || 1)) * (width - left - right)
  const py = (y) => height - bottom - ((up(y) - y0) / (y1 - y0)) * (height - top - bottom)
  const svg = mark('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title })

  for (const y of logged ? logTicks(y0, y1) : ticks(y0, y1)) {
    const at = py(y)
    svg.append(mark('line', { x1: left, x2: width - right, y1: at, y2: at, class: 'grid' }), mark('text', { x: left - 6, y: at + 4, 'text-anchor': 'end' }, label(y)))
  }
  for (const x of ticks(x0, x1).filter(Number.isInteger)) svg.append(mark('text', { x: px(x), y: height - bottom + 18, 'text-anchor': 'middle' }, label(x)))
  svg.append(mark('text', { x: width - right, y: height - 2, 'text-anchor': 'end' }, 'step'))
  let keyX = left
  shown.forEach(({ title: name, points, kind }, k) => {
    const path = points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join('')
    svg.append(mark('path', { d: path, class: `series ${kind} s${k}` }))
    if (kind === 'dots') for (const [x, y] of points) svg.append(mark('circle', { cx: px(x), cy: py(y), r: 3, class: `dot s${k}` }))
    if (kind === 'faint') return
    const text = `${kind === 'dots' ? '●' : '—'} ${name}`
    svg.append(mark('text', { x: keyX, y: 14, class: `key s${k}` }, text))
    keyX += 8 * text.length + 14
  })
  figure.append(svg)
  return figure
}

function logTicks(low, high) {
  const decades = ticks(Math.floor(low), Math.ceil(high), Math.ceil(high) - Math.floor(low)).filter(Number.isInteger)
  const values = decades.flatMap((d) => [1, 2, 5].map((k) => k * 10 ** d)).filter((v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9)
  return values.length > 1 ? values : [10 ** low, 10 ** high]
}
