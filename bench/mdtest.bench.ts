// mdtest, easy (empty files, a directory for each rank) and hard (3901 bytes, one directory for all): how many files a
// second are made, looked at, read and removed? One call after the other first, then many at a time; beside them a local
// directory through Node's synchronous calls.
import { IoError } from '../lib/base/errors.js'
import { Folder } from './support/folder.js'
import { sizeOption, wordOption } from './support/options.js'
import { inTurn, ratiosBetween } from './support/rounds.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'
import { Stage } from './support/stage.js'
import type { MetadataPhase, MetadataPlace } from './support/tasks/metadata.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', 2)
const transport = wordOption(values, 'transport', ['unix', 'tcp'])
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const files = sizeOption(values, 'files', smoke ? 5 : 250)
const depth = sizeOption(values, 'depth', 16)

/** IO500's kinds. */
const KINDS = {
  easy: { bytes: 0, shared: false, phases: ['create', 'stat', 'remove'] },
  hard: { bytes: 3901, shared: true, phases: ['create', 'stat', 'read', 'remove'] },
} as const

const folder = new Folder('mdtest')
const sheet = new Sheet('mdtest', options, { transport, iods, ranks, files, depth })
let runs = 0
try {
  await using stage = await Stage.start({ ranks, iods, transport })
  for (const [kind, { bytes, shared, phases }] of Object.entries(KINDS)) {
    const rates = (local: boolean, at: number) => async () => {
      const path = local ? folder.at(`${++runs}`) : `/mdtest-${++runs}`
      return await pass(stage, { path, local, shared }, { bytes, phases, at })
    }
    const naive = 'one after the other'
    const found = await inTurn(options, {
      [naive]: rates(false, 1),
      [`${depth} at a time`]: rates(false, depth),
      'local directory': rates(true, 1),
    })
    const over = (name: string, phase: MetadataPhase): number[] =>
      (found[name] ?? []).map((each) => each[phase] ?? 0)
    const table = (of: (name: string, phase: MetadataPhase) => number[]): Record<string, Row> =>
      Object.fromEntries(
        Object.keys(found).map((name) => [
          name,
          Object.fromEntries(phases.map((phase) => [phase, of(name, phase)])),
        ]),
      )
    sheet.table(`${kind}, ${ranks * files} files, a second`, table(over))
    const ratios = table((name, phase) => ratiosBetween(over(name, phase), over(naive, phase)))
    sheet.table(`${kind} ÷ one after the other`, ratios)
  }
} finally {
  folder[Symbol.dispose]()
}
sheet.end()

/** One pass over all phases; files a second by phase. Every content and every size is compared, and the names are counted. */
async function pass(
  stage: Stage,
  place: MetadataPlace,
  about: {
    readonly bytes: number
    readonly phases: readonly MetadataPhase[]
    readonly at: number
  },
): Promise<Partial<Record<MetadataPhase, number>>> {
  const { bytes, phases, at } = about
  const rates: Partial<Record<MetadataPhase, number>> = {}
  await stage.run('directories', place)
  for (const [index, phase] of phases.entries()) {
    // As mdtest -N 1: nobody works on what it made itself.
    const order = { ...place, phase, files, bytes, shift: index, depth: at }
    const { ms, bytes: count } = await stage.time('metadata', order)
    rates[phase] = count / (ms / 1000)
    if (phase === 'create') await expectNames(stage, place, files * (place.shared ? ranks : 1))
  }
  await expectNames(stage, place, 0)
  return rates
}

async function expectNames(stage: Stage, place: MetadataPlace, wanted: number): Promise<void> {
  for (const found of await stage.run('names', place))
    if (found !== wanted)
      throw new IoError('MPI_ERR_IO', `${place.path}: ${found} names instead of ${wanted}`)
}
