// The table of measures: every row is run, and each of its figures printed as goal, pass or short, with its spread.
// `--row=NAME` runs one of them, or several with commas between. A row that fails takes none of the others along.
import { messageOf } from '../lib/base/errors.js'
import { numberText } from './support/figures.js'
import { judge, type Measure, type MeasureContext, type Part } from './support/measures/measure.js'
import { MEASURES, measuresOf } from './support/measures/table.js'
import { WrongOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'

const IN_DOUBT = 'its median is short, but not all of the 90 % interval in which it lies: it passes'

const options = sheetOptions()
const names = options.values.get('row')
const chosen = names === undefined ? MEASURES : measuresOf(names, '--row')

using peers = new Peers()
const sheet = new Sheet('measures', options, { rows: chosen.map(({ name }) => name).join(',') })
const context: MeasureContext = { ...options, peers }
const counts = { goal: 0, pass: 0, short: 0, skipped: 0 }
let failed = 0
for (const measure of chosen) {
  try {
    await report(measure)
  } catch (error) {
    if (error instanceof WrongOption) throw error
    failed++
    process.exitCode = 1
    console.error(error)
    sheet.note(`${measure.name}: failed: ${messageOf(error)}`)
  }
}
const { goal, pass, short, skipped } = counts
const sum = `${goal} goal, ${pass} pass, ${short} short, ${skipped} left out`
sheet.note(failed === 0 ? sum : `${sum}, ${failed} failed`)
sheet.end()

async function report(measure: Measure): Promise<void> {
  const { samples, rates, cold, notes = {}, skipped } = await measure.run(context)
  const rows: Record<string, Row> = {}
  for (const part of measure.parts) {
    const values = samples[part.name]
    if (values === undefined) counts.skipped++
    else rows[part.name] = rowOf(part, values, rates?.[part.name], cold?.[part.name])
  }
  if (Object.keys(rows).length > 0) sheet.table(titleOf(measure), rows)
  for (const part of measure.parts) {
    const values = samples[part.name]
    if (values !== undefined && judge(part, values).isInDoubt)
      sheet.note(`  ${part.name}: ${IN_DOUBT}`)
  }
  for (const [name, note] of Object.entries(notes)) sheet.note(`  ${name}: ${note}`)
  if (skipped !== undefined) sheet.note(`${measure.name}: left out: ${skipped}`)
}

function rowOf(
  part: Part,
  values: readonly number[],
  rates: readonly number[] | undefined,
  cold: number | undefined,
): Row {
  const { verdict } = judge(part, values)
  counts[verdict]++
  const sign = part.better === 'more' ? '≥' : '≤'
  const [pass, goal] = [part.pass, part.goal].map((bound) => `${sign} ${numberText(bound)}`)
  const rate = rates === undefined ? {} : { 'MiB/s': rates }
  const first = cold === undefined ? {} : { cold }
  return { figure: values, ...rate, ...first, pass: pass ?? '', goal: goal ?? '', verdict }
}

function titleOf({ name, what, unit }: Measure): string {
  return `${name}: ${what}${unit === '×' ? '' : `, ${unit}`}`
}
