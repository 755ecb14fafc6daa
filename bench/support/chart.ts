// Charts of growth as SVG, both axes logarithmic: points, their lines, and a legend. Pure.

/** Points of one line; x and y above 0. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** A chart in words and points. */
export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly Series[]
}

const WIDTH = 640
const HEIGHT = 400
const MARGIN = { left: 70, right: 190, top: 40, bottom: 50 }

/** Told apart also by those who see no red and green, and on paper by their marks' places. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000']

interface Scale {
  readonly ticks: readonly number[]
  readonly at: (value: number) => number
}

/** The chart as a document of its own. */
export function chartSvg({ title, xLabel, yLabel, series }: Chart): string {
  const points = series.flatMap((each) => each.points)
  const x = scaleOf(
    points.map(([value]) => value),
    MARGIN.left,
    WIDTH - MARGIN.right,
  )
  const y = scaleOf(
    points.map(([, value]) => value),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  )
  const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(middle, 22, title, 'text-anchor="middle" font-size="14"'),
    ...x.ticks.map((tick) => verticalTick(x.at(tick), tick)),
    ...y.ticks.map((tick) => horizontalTick(y.at(tick), tick)),
    text(middle, HEIGHT - 12, xLabel, 'text-anchor="middle"'),
    text(18, HEIGHT / 2, yLabel, `text-anchor="middle" transform="rotate(-90 18 ${HEIGHT / 2})"`),
    ...series.map((each, index) => lineOf(each, index, x, y)),
    '</svg>',
    '',
  ].join('\n')
}

/** Powers of ten around all values; where they span little, steps of two. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const base = most / least > 30 ? 10 : 2
  const exponentOf = (value: number): number => Math.log(value) / Math.log(base)
  const low = Math.floor(exponentOf(least) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(exponentOf(most) - 1e-9))
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => base ** (low + index))
  const at = (value: number): number =>
    from + ((exponentOf(value) - low) / (high - low)) * (to - from)
  return { ticks, at }
}

function lineOf({ name, points }: Series, index: number, x: Scale, y: Scale): string {
  const color = COLORS[index % COLORS.length] ?? 'black'
  const places = points.map(([px, py]) => `${rounded(x.at(px))},${rounded(y.at(py))}`)
  const marks = places.map((place) => {
    const [cx, cy] = place.split(',')
    return `<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`
  })
  const row = MARGIN.top + 14 + index * 18
  const left = WIDTH - MARGIN.right + 12
  return [
    `<polyline points="${places.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"/>`,
    ...marks,
    `<rect x="${left}" y="${row - 9}" width="10" height="10" fill="${color}"/>`,
    text(left + 15, row, name, ''),
  ].join('\n')
}

function verticalTick(at: number, value: number): string {
  const place = rounded(at)
  const line = `<line x1="${place}" y1="${MARGIN.top}" x2="${place}" y2="${HEIGHT - MARGIN.bottom}" stroke="#ddd"/>`
  return line + text(place, HEIGHT - MARGIN.bottom + 16, tickText(value), 'text-anchor="middle"')
}

function horizontalTick(at: number, value: number): string {
  const place = rounded(at)
  const line = `<line x1="${MARGIN.left}" y1="${place}" x2="${WIDTH - MARGIN.right}" y2="${place}" stroke="#ddd"/>`
  return line + text(MARGIN.left - 6, place + 4, tickText(value), 'text-anchor="end"')
}

function tickText(value: number): string {
  if (value >= 10_000 || value < 0.001) return value.toExponential(0).replace('e+', 'e')
  return String(Number(value.toPrecision(3)))
}

function text(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(words)}</text>`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function rounded(value: number): number {
  return Number(value.toFixed(1))
}
