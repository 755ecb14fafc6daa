// noncontig: elements of the ranks in turn, with gaps in the file, in memory, in both or in neither. What gaps cost in
// memory shows in the ratio of nc-c to c-c; an element a call comes first.
import { contestOf, type Outcome, printContest, WAYS, waysOver } from './support/contest.js'
import { sizeOption, wordOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { ratiosBetween } from './support/rounds.js'
import { type Gaps, noncontig } from './support/shapes.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'
import { sizeText, Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', 2)
const transport = wordOption(values, 'transport', ['tcp', 'unix'])
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const elements = sizeOption(values, 'elements', smoke ? 64 : 65_536)
const counts = smoke ? [2] : [2, 16, 128]

/** In noncontig's order: memory, then file. */
const MODES: Readonly<Record<string, Gaps>> = {
  'c-c': { inMemory: false, inFile: false },
  'nc-c': { inMemory: true, inFile: false },
  'c-nc': { inMemory: false, inFile: true },
  'nc-nc': { inMemory: true, inFile: true },
}

using peers = new Peers()
const about = { transport, iods, checksums: 'header only' }
const sheet = new Sheet('noncontig', options, about)
await using stage = await Stage.start({ ranks, iods, transport })
for (const elementCount of counts) {
  const outcomes: Record<string, Outcome> = {}
  for (const [mode, gaps] of Object.entries(MODES)) {
    const shape = noncontig({ ranks, elementCount, elements: elements / elementCount, ...gaps })
    const contest = {
      stage,
      shape,
      info: { striping_factor: iods },
      ways: waysOver(transport, WAYS.pieces, WAYS.independent, WAYS.collective),
      romio: ['collective'],
      withStream: false,
    } as const
    const outcome = await contestOf(contest, peers, options)
    outcomes[mode] = outcome
    const title = `${mode}, elements of ${elementCount * 4} B, ${sizeText(shape)}`
    printContest(sheet, title, outcome, { contest, peers })
  }
  sheet.table(`time with gaps ÷ without, ${elementCount * 4} B`, gapRows(outcomes))
}
sheet.end()

function gapRows(outcomes: Readonly<Record<string, Outcome>>): Record<string, Row> {
  const rows: Record<string, Row> = {}
  const whole = outcomes['c-c'] ?? {}
  for (const mode of ['nc-c', 'c-nc', 'nc-nc'])
    for (const way of [WAYS.independent.label, WAYS.collective.label]) {
      const both = { ours: whole[way] ?? [], theirs: (outcomes[mode] ?? {})[way] ?? [] }
      const ratio = (kind: 'write' | 'read'): number[] =>
        ratiosBetween(
          both.ours.map((each) => each[kind]),
          both.theirs.map((each) => each[kind]),
        )
      rows[`${mode}, ${way}`] = { write: ratio('write'), read: ratio('read') }
    }
  return rows
}
