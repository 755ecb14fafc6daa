import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { expectOptions } from '../../lib/base/options.js'
import {
  Datatype,
  type ErrorCode,
  File,
  FileSystem,
  initialize,
  localRanks,
  Mode,
} from '../../lib/index.js'
import { startCluster, startIod, startManager } from '../../servers/index.js'
import { rejects, throws } from '../support/assertions.js'

const CODE: ErrorCode = 'MPI_ERR_ARG'

const test = suite('options')

/** A key that was given, and what is said of it. */
const ANSWERS: readonly (readonly [key: string, advice: string])[] = [
  ['disp', '"disp"; displacement is near'],
  ['Displacement', '"Displacement"; displacement is near'],
  ['etyp', '"etyp"; etype or filetype is near'],
  ['type', '"type"; etype or filetype is near'],
  ['filetpye', '"filetpye"; filetype is near'],
  ['x', '"x"; it knows displacement, etype, filetype'],
  ['', '""; it knows displacement, etype, filetype'],
  ['toString', '"toString"; it knows displacement, etype, filetype'],
  ['a\n'.repeat(100), `"${'a\\n'.repeat(20)}…"; it knows displacement, etype, filetype`],
]

test('a key that is not known is named, with those that it may have been meant for', () => {
  const keys = { displacement: true, etype: true, filetype: true } as const
  for (const [key, advice] of ANSWERS) {
    const options = { [key]: undefined } as Record<keyof typeof keys, unknown>
    const error = throws(() => expectOptions('setView', options, keys), CODE)
    assert.is(error.message, `setView: it has no option ${advice}`)
  }
})

test('keys that are known, and those that an object inherits, are none of its business', () => {
  const options: { a?: number } = Object.create({ b: 1 }) as object
  expectOptions('x', options, { a: true })
  expectOptions('x', { a: 1 }, { a: true })
  expectOptions<{ a?: number }>('x', {}, { a: true })
})

test('what is no object has no options', () => {
  for (const [value, words] of [
    [null, 'null'],
    [undefined, 'undefined'],
    [1, '1'],
    ['a', '"a"'],
    [true, 'true'],
  ]) {
    const error = throws(() => expectOptions('x', value as unknown as object, {}), CODE)
    assert.is(error.message, `x: its options ${words} are no object`)
  }
})

/** What TypeScript would refuse, as a program in JavaScript may write it. */
function slip<T>(options: object): T {
  return options as T
}

test('every call that takes options refuses one that is misspelt', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using fs = await FileSystem.connect(cluster.url)
  const calls: Record<string, () => Promise<unknown>> = {
    connect: async () => await FileSystem.connect(cluster.url, slip({ timeout: 1 })),
    'connect: timing': async () =>
      await FileSystem.connect(cluster.url, slip({ timing: { operationMS: 1 } })),
    open: async () => await fs.open('/f', 'w', slip({ stripsize: 4096 })),
    'open of writeFile': async () => await fs.writeFile('/f', 'x', slip({ iods: 1 })),
    mkdir: async () => await fs.mkdir('/d', slip({ recursiv: true })),
    fsck: async () => await fs.fsck(slip({ repare: true })).next(),
    initialize: async () => await initialize(slip({ url: cluster.url })),
    localRanks: async () => localRanks(1, slip({ manager: cluster.url })),
    subarray: async () =>
      Datatype.subarray(
        slip({ sizes: [2], subsizes: [1], starts: [0], type: Datatype.BYTE, ord: 'C' }),
      ),
    darray: async () => Datatype.darray(slip({ sizes: [2] })),
    startCluster: async () => await startCluster(slip({ iodCount: 2 })),
    'startCluster: timing': async () => await startCluster(slip({ timing: { leaseMs: 2 } })),
    startManager: async () => await startManager(slip({ dir: 'x' })),
    startIod: async () => await startIod(slip({ dir: 'x' })),
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = await rejects(call(), CODE)
    assert.match(
      error.message,
      new RegExp(`^${name.split(' of ')[0]}: it has no option "\\w+"; `),
      name,
    )
  }
  assert.equal(await fs.readdir('/'), [], 'nothing was made')

  await using handle = await fs.open('/f', 'w+')
  throws(() => handle.createReadStream(slip({ finish: 1 })), CODE)
  throws(() => handle.createWriteStream(slip({ end: 1 })), CODE)
})

test('a view, blocks and a buffer refuse one that is misspelt, and all ranks are told alike', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await Promise.all(
    localRanks(2, { managerUrl: cluster.url }).map(async (world) => {
      await using comm = world
      await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
      const spec = comm.rank === 0 ? { disp: 4 } : { displacement: 4 }
      const error = await rejects(file.setView(slip(spec)), comm.rank === 0 ? CODE : 'MPI_ERR_IO')
      assert.match(error.message, /setView: it has no option "disp"; displacement is near/)
      const data = new Uint8Array(4)
      const write = file.writeAt(0, slip({ data, type: Datatype.INT32 }))
      assert.is(
        (await rejects(write, CODE)).message,
        'buffer: it has no option "type"; datatype is near',
      )
      await rejects(file.blocks(slip({ size: 1, count: 1 })).next(), CODE)
      // A hint that nobody knows is ignored, as MPI says.
      await file.setView({ displacement: 4, info: { no_such_hint: '1' } })
      assert.is(file.getView().displacement, 4)
    }),
  )
})

test.run()
