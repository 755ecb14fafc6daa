// Writes bench/RESULTS.md: the table of measures and the curves of growth, with charts beside it. `npm run bench:report --
// [--out=FOLDER] [--curves=NAME,…] [--row=NAME,…] [--profile=NAME,…] [--through=SIZE] [--files=N] [--rounds=N]
// [--smoke]`; in a smoke cycle the folder must be given.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { stayAwake } from './support/awake.js'
import { chartSvg } from './support/chart.js'
import { chartOf, type Curve, type CurveOptions } from './support/curves/curve.js'
import { CURVES, type CurveMaker } from './support/curves/curves.js'
import { GIB } from './support/figures.js'
import { Folder } from './support/folder.js'
import { measuresOf } from './support/measures/table.js'
import { type OptionName, sizeOption, WrongOption } from './support/options.js'
import { profilesIn, type Shares, sharesOf } from './support/profiles.js'
import { type MeasureLine, resultsText, rowOf, type RowShares } from './support/results.js'
import { sheetOptions } from './support/sheet.js'
import { versionOf } from './support/version.js'

/** Functions that are told of each party. */
const SHARES = 8

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const options = sheetOptions()
const { values, smoke } = options
const [load = 0] = loadavg()
const folder = values.get('out') ?? defaultFolder()
const curveOptions: CurveOptions = {
  ...options,
  through: sizeOption(values, 'through', smoke ? 4 * 2 ** 20 : GIB),
  files: sizeOption(values, 'files', smoke ? 20 : 100_000),
}

// What is wrong is said before anything is measured.
checkRows('row')
checkRows('profile')
const makers = chosenCurves(values.get('curves'))

using awake = stayAwake()
const machine = machineText()
const version = versionOf(ROOT)
const when = new Date().toISOString().slice(0, 10)
mkdirSync(join(folder, 'charts'), { recursive: true })

const { rows, notes } = await measures()
const toProfile = rowsToProfile(values.get('profile'))
const profiles: RowShares[] = []
const curves: Curve[] = []
write()
for (const row of toProfile) {
  console.error(`profile: ${row}`)
  profiles.push({ row, shares: await profileOf(row) })
  write()
}
for (const { name, make } of makers) {
  console.error(`curve: ${name}`)
  const curve = await make(curveOptions)
  writeFileSync(join(folder, 'charts', `${name}.svg`), chartSvg(chartOf(curve)))
  curves.push(curve)
  write()
}
console.log(join(folder, 'RESULTS.md'))

// After each part: what fails later takes nothing along that was measured.
function write(): void {
  const left = [
    ...toProfile.slice(profiles.length).map((row) => `the profile of ${row}`),
    ...makers.slice(curves.length).map(({ name }) => `the curve ${name}`),
  ]
  const about = { when, version, machine, rounds: options.rounds, smoke, load, left }
  const profiled = values.has('profile') ? 'named' : 'behind'
  const text = resultsText({ about, rows, notes, profiles, profiled, curves })
  writeFileSync(join(folder, 'RESULTS.md'), text)
}

function checkRows(option: 'row' | 'profile'): void {
  const names = values.get(option)
  if (names !== undefined && names !== 'none') measuresOf(names, `--${option}`)
}

// The measures run in a process of their own, as always: what they leave in memory is not the curves'.
async function measures(): Promise<{ rows: readonly MeasureLine[]; notes: readonly string[] }> {
  const row = values.get('row')
  if (row === 'none') return { rows: [], notes: [] }
  console.error('measures')
  const stdout = await runMeasures([], [...passedOn('smoke', 'rounds', 'row', 'through')])
  const parsed = JSON.parse(stdout) as { results: MeasureLine[]; notes: string[] }
  return { rows: parsed.results, notes: parsed.notes }
}

// What is not as good as it should be, unless others are named.
function rowsToProfile(names: string | undefined): readonly string[] {
  if (names === 'none' || (names === undefined && smoke)) return []
  if (names !== undefined) return names.split(',')
  const behind = rows.filter(({ verdict }) => verdict !== 'goal')
  return [...new Set(behind.map(rowOf))]
}

// In a run of its own: a profile costs time, and the figures must not have it.
async function profileOf(row: string): Promise<Shares> {
  using kept = new Folder('profiles')
  const flags = ['--cpu-prof', `--cpu-prof-dir=${kept.path}`]
  await runMeasures(flags, [`--row=${row}`, ...passedOn('smoke', 'rounds', 'through')])
  return sharesOf(profilesIn(kept.path), SHARES)
}

// A row that fails has said so, on standard error and in a note; the others have been measured.
async function runMeasures(flags: readonly string[], args: readonly string[]): Promise<string> {
  const script = fileURLToPath(new URL('./measures.bench.js', import.meta.url))
  const child = spawn(process.execPath, [...flags, script, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) process.exitCode = 1
  if (stdout === '') throw new Error(`measures ended with exit code ${code} and without figures`)
  return stdout
}

function passedOn(...names: readonly OptionName[]): string[] {
  return names.flatMap((name) => {
    const value = values.get(name)
    return value === undefined ? [] : [`--${name}=${value}`]
  })
}

function chosenCurves(names: string | undefined): readonly CurveMaker[] {
  if (names === undefined) return CURVES
  if (names === 'none') return []
  return names.split(',').map((name) => {
    const curve = CURVES.find((each) => each.name === name)
    if (curve !== undefined) return curve
    const known = CURVES.map((each) => each.name).join(', ')
    throw new WrongOption(`--curves: there is no ${name}; there are ${known}`)
  })
}

function defaultFolder(): string {
  if (!smoke) return join(ROOT, 'bench/')
  throw new WrongOption('--out: a smoke cycle must not overwrite what was measured')
}

// The class of machine, not the machine: processors, memory, Node.
function machineText(): string {
  const all = cpus()
  const memory = Math.round(totalmem() / GIB)
  const model = all[0]?.model ?? 'unknown'
  return `${all.length} processors (${model}), ${memory} GiB of memory, Node ${process.versions.node}; processors ${awake.words}`
}
