// A bench of one shape that all ranks have together: a call a piece first, then one list each, then all ranks together; beside
// them C peers, and ROMIO, which does the same on a local directory.
import { contestOf, printContest, WAYS, waysOver } from './contest.js'
import { sizeOption, wordOption } from './options.js'
import { Peers } from './peers.js'
import type { Shape } from './shapes.js'
import { Sheet, type SheetOptions } from './sheet.js'
import { sizeText, Stage } from './stage.js'

/** What is measured, and how it is called. */
export interface OneShape {
  readonly name: string
  readonly title: string
  readonly shape: Shape
  readonly parameters?: Readonly<Record<string, number>>
}

/** Measures and prints it. */
export async function measureShape(
  { name, title, shape, parameters = {} }: OneShape,
  options: SheetOptions,
): Promise<void> {
  const { values, smoke } = options
  const transport = wordOption(values, 'transport', ['tcp', 'unix'])
  const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
  using peers = new Peers()
  const about = { transport, iods, ...parameters, checksums: 'header only' }
  const sheet = new Sheet(name, options, about)
  await using stage = await Stage.start({ ranks: shape.ranks, iods, transport })
  const contest = {
    stage,
    shape,
    info: { striping_factor: iods },
    ways: waysOver(transport, WAYS.pieces, WAYS.independent, WAYS.collective),
    romio: ['independent', 'collective'],
    withStream: true,
  } as const
  const outcome = await contestOf(contest, peers, options)
  printContest(sheet, `${title}, ${sizeText(shape)}`, outcome, { contest, peers })
  sheet.end()
}
