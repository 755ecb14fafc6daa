import { execFile } from 'node:child_process'
import { PassThrough, Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { copyBytes, type Source, type Target } from '../../servers/cli/copy.js'
import { unlessAborted } from '../../servers/cli/ending.js'
import { streamSource, streamTarget } from '../../servers/cli/ends.js'
import { modeText, nameText, sizeText, tableText } from '../../servers/cli/format.js'
import { LineOutput } from '../../servers/cli/lines.js'
import { byteSize, stripSize } from '../../servers/cli/options.js'
import { namedPlace, remotePlace } from '../../servers/cli/place.js'
import { Tail } from '../../servers/cluster/tail.js'
import { deferred } from '../../lib/base/deferred.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { IoError } from '../../lib/index.js'
import { rejects, throws } from '../support/assertions.js'

const MIB = 2 ** 20
const EARLY = new URL('../../servers/cli/early.js', import.meta.url).href

const test = suite('rankio: parts')

const SIZES: readonly (readonly [text: string, bytes: number])[] = [
  ['0', 0],
  ['4096', 4096],
  ['4K', 4096],
  ['64KiB', 65_536],
  ['64kib', 65_536],
  ['1MiB', MIB],
  ['1 MiB', MIB],
  ['2G', 2 ** 31],
]

for (const [text, bytes] of SIZES) {
  test(`size ${text} is ${bytes} bytes`, () => assert.is(byteSize(text), bytes))
}

test('what is no size is refused', () => {
  for (const text of ['', 'KiB', '-1', '1.5MiB', '1MB', '1TiB', '99999999999999999', '1e3']) {
    assert.throws(() => byteSize(text), /It is not a size/)
  }
})

test('strips are powers of two from 4 KiB to 64 MiB', () => {
  assert.is(stripSize('4KiB'), 4096)
  assert.is(stripSize('64MiB'), 64 * MIB)
  for (const text of ['2KiB', '4097', '128MiB', '0'])
    assert.throws(() => stripSize(text), /power of two/)
})

test('places on a manager are told from local paths', () => {
  assert.is(remotePlace('/a', undefined), undefined)
  assert.is(remotePlace('./rankio:/a', undefined), undefined)
  const manager = 'rankio://node1:7300'
  assert.equal(remotePlace('rankio:/a b', manager), { manager, path: '/a b' })
  assert.equal(remotePlace(`${manager}/a/b`, undefined), { manager, path: '/a/b' })
  assert.equal(remotePlace(manager, undefined), { manager, path: '/' })
  assert.equal(namedPlace('/a', manager), { manager, path: '/a' })
  assert.equal(remotePlace('rankio:a/b', manager), { manager, path: 'a/b' })
  assert.equal(namedPlace('a/b', manager), { manager, path: 'a/b' })
  for (const text of ['rankio:', 'rankio://', 'rankio:///a'])
    throws(() => remotePlace(text, manager), 'MPI_ERR_ARG')
})

test('sizes, permissions, names and tables are shown for people', () => {
  assert.equal([0, 1023, 1024, 1536, 3 * MIB].map(sizeText), [
    '0 bytes',
    '1023 bytes',
    '1 KiB',
    '1.5 KiB',
    '3 MiB',
  ])
  assert.is(modeText(0o754, 'directory'), 'drwxr-xr--')
  assert.is(nameText('a b'), 'a b')
  assert.is(nameText('a\u001b[2J'), '"a\\u001b[2J"')
  assert.is(
    tableText(
      [
        ['a', '10'],
        ['bbb', '9'],
      ],
      [1],
    ),
    'a    10\nbbb   9\n',
  )
})

test('a copy is right whatever ends it has and however its chunks are late', async () => {
  const bytes = Uint8Array.from({ length: 21 * MIB + 7 }, (_, index) => (index * 31) >> 8)
  const chunks = Array.from({ length: 100 }, (_, index) => {
    return Buffer.from(bytes.subarray(index * 230_000, (index + 1) * 230_000))
  })
  const sources: (() => Source)[] = [
    () => lateSource(bytes),
    () => streamSource(Readable.from(chunks)),
  ]
  for (const source of sources) {
    const whole = new Uint8Array(bytes.length)
    assert.is(await copyBytes(source(), memoryTarget(whole)), bytes.length)
    assert.ok(Buffer.from(whole).equals(bytes))
    const { stream, written } = collector()
    assert.is(await copyBytes(source(), streamTarget(stream)), bytes.length)
    assert.ok(written().equals(bytes))
  }
})

test('a copy that fails ends, and nothing is written behind the gap', async () => {
  const lost = new IoError('MPI_ERR_IO', 'lost')
  const offsets: number[] = []
  const target: Target = {
    inOrder: true,
    write: async (_, position) => {
      if (position >= 8 * MIB) throw lost
      offsets.push(position)
    },
  }
  const error = await rejects(copyBytes(lateSource(new Uint8Array(40 * MIB)), target))
  assert.is(error, lost)
  assert.equal(offsets, [0, 4 * MIB])
  const source: Source = { inOrder: false, read: async () => await Promise.reject(lost) }
  assert.is(await rejects(copyBytes(source, target)), lost)
})

test('a copy that is given up ends with the chunks that are under way', async () => {
  const stop = new AbortController()
  const why = new IoError('MPI_ERR_OTHER', 'told to end')
  const written: number[] = []
  const target: Target = {
    inOrder: true,
    write: async (_, position) => {
      written.push(position)
      stop.abort(why)
    },
  }
  const source = lateSource(new Uint8Array(40 * MIB))
  assert.is(await rejects(copyBytes(source, target, stop.signal)), why)
  assert.equal(written, [0])
})

test('what is told to end before it has begun is not begun', async () => {
  const why = new IoError('MPI_ERR_OTHER', 'told to end')
  let begun = 0
  const work = async (): Promise<void> => void begun++
  assert.is(await rejects(unlessAborted(AbortSignal.abort(why), work)), why)
  assert.is(begun, 0)
})

test('what is told to end meanwhile comes to its end first, whatever that is', async () => {
  const why = new IoError('MPI_ERR_OTHER', 'told to end')
  for (const end of ['resolve', 'reject'] as const) {
    const stop = new AbortController()
    const work = deferred<unknown>()
    const order: string[] = []
    const ended = rejects(unlessAborted(stop.signal, () => work.promise)).then((error) => {
      order.push('told')
      return error
    })
    stop.abort(why)
    await nodeClock.turn()
    order.push('work')
    work[end](new IoError('MPI_ERR_IO', 'its file was closed'))
    assert.is(await ended, why)
    assert.equal(order, ['work', 'told'])
  }
})

test('what does not come to its end is not waited for, and may fail later', async () => {
  const stop = new AbortController()
  const why = new IoError('MPI_ERR_OTHER', 'told to end')
  const work = deferred<void>()
  const ended = rejects(unlessAborted(stop.signal, () => work.promise, 0))
  stop.abort(why)
  assert.is(await ended, why)
  work.reject(new IoError('MPI_ERR_IO', 'late'))
  // An unhandled rejection would end this process.
  await nodeClock.turn()
})

test('what nobody tells to end settles as it does', async () => {
  const { signal } = new AbortController()
  assert.is(await unlessAborted(signal, async () => 7), 7)
  const lost = new IoError('MPI_ERR_IO', 'lost')
  assert.is(await rejects(unlessAborted(signal, async () => await Promise.reject(lost))), lost)
})

test('lines of several inputs stay whole, also very long ones that come in parts', async () => {
  const { stream, written } = collector()
  const output = new LineOutput(stream)
  const inputs = [new PassThrough(), new PassThrough()]
  const passing = inputs.map((input, index) => output.pass(input, `[${index}] `))
  for (let part = 0; part < 50; part++) {
    for (const input of inputs) input.write(part % 10 === 9 ? 'x\n' : 'x'.repeat(1000))
  }
  for (const input of inputs) input.end()
  await Promise.all(passing)
  const line = /^\[[01]\] x{9001}$/
  const lines = written().toString().trim().split('\n')
  assert.is(lines.length, 10)
  assert.ok(lines.every((one) => line.test(one)))
})

test('a tail keeps the last lines and cuts long ones', () => {
  const seen: string[] = []
  const tail = new Tail((line) => seen.push(line))
  tail.add('a\nb')
  tail.add('c\n')
  tail.add(`${'x'.repeat(10_000)}\nrest`)
  tail.end()
  assert.equal(seen, ['a', 'bc', 'x'.repeat(4096), 'rest'])
  for (let index = 0; index < 2000; index++) tail.add(`${index}\n`)
  assert.is(tail.lines.length, 1000)
  assert.is(tail.lines.at(-1), '1999')
})

test('a server is optimized after a third of the calls, or fewer, that another process needs, where V8 can be told', async () => {
  const others = await callsToOptimize('')
  const servers = await callsToOptimize(`(await import(${JSON.stringify(EARLY)})).optimizeEarly();`)
  assert.ok(servers > 0)
  if (!process.versions.v8.startsWith('11.')) return
  assert.ok(servers <= others / 3, `${servers} calls, and ${others} without`)
})

test.run()

/** Chunks that take the longer the earlier they are. */
function lateSource(bytes: Uint8Array): Source {
  const read = async (into: Uint8Array, position: number): Promise<number> => {
    for (let turn = 20 - position / MIB; turn > 0; turn--) await new Promise(setImmediate)
    const part = bytes.subarray(position, position + into.length)
    into.set(part)
    return part.length
  }
  return { inOrder: false, read }
}

function memoryTarget(whole: Uint8Array): Target {
  const write = async (bytes: Uint8Array, position: number): Promise<void> => {
    await new Promise(setImmediate)
    whole.set(bytes, position)
  }
  return { inOrder: false, write }
}

/** A stream that is slow to take what it gets. */
function collector(): { readonly stream: Writable; readonly written: () => Buffer } {
  const parts: Buffer[] = []
  const stream = new Writable({
    highWaterMark: 1024,
    write: (chunk: Buffer, _, done) => {
      parts.push(Buffer.from(chunk))
      setImmediate(done)
    },
  })
  return { stream, written: () => Buffer.concat(parts) }
}

/** How often a function of a new process is called until V8 has optimized it, if `before` is done first. */
async function callsToOptimize(before: string): Promise<number> {
  // Bit 4 of the status: optimized. Without another thread the count is the same each time.
  const script = `${before}
    const sum = (values) => { let all = 0; for (let i = 0; i < values.length; i++) all += values[i]; return all }
    const values = [1, 2, 3, 4]
    let calls = 0
    while ((%GetOptimizationStatus(sum) & 16) === 0 && calls < 1e6) { sum(values); calls++ }
    console.log(calls)`
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation']
  const args = [...flags, '--input-type=module', '--eval', script]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
  // V8 says so where it does not know a flag.
  assert.is(stderr, '')
  return Number(stdout)
}
