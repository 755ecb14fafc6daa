// A rank that computes for longer than the lease of its session, and whose manager dies meanwhile.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { startCluster } from '../../servers/index.js'
import { deadline, until } from '../support/assertions.js'

const PROGRAM = join(import.meta.dirname, 'computing-program.js')
const BLOCKED = join(import.meta.dirname, 'blocked-program.js')
const TIMES = { heartbeatMs: 500, sessionLeaseMs: 6000 }

const test = suite('session thread')

test('a rank that computes while its manager is started anew keeps its session by its thread, and not without', async () => {
  await using cluster = await startCluster({ iods: 2, timing: TIMES })
  await using kept = program(cluster.url, '/kept', 'with')
  await using lost = program(cluster.url, '/lost', 'without')
  await deadline(
    'both compute',
    60_000,
    until(() => isComputing(kept) && isComputing(lost), 60_000),
  )
  await cluster.kill('manager')
  await cluster.restart('manager')
  await using files = await FileSystem.connect(cluster.url)
  assert.is((await files.status()).opens, 2)
  // The lease that one of them lost is over for both.
  await until(async () => (await files.status()).opens === 1, 60_000)
  for (const one of [kept, lost]) one.goOn()
  assert.equal(await deadline('both end', 60_000, Promise.all([kept.ended, lost.ended])), [0, 0])
  assert.is(kept.output(), 'computing\ndone\n')
  assert.match(lost.output(), /^computing\n(LEASE_LOST|STALE)\n$/)
  assert.equal([...(await files.readFile('/kept'))], [1, 2, 3, 4, 5])
  await until(async () => (await files.status()).opens === 0)
})

test('a program that computes from its first moment on keeps its open by its connection, and is told when it has lost it', async () => {
  await using cluster = await startCluster({ iods: 2, timing: TIMES })
  await using files = await FileSystem.connect(cluster.url)
  const opens = async (): Promise<number> => (await files.status()).opens
  await using kept = run([BLOCKED, cluster.url, '/kept', JSON.stringify(TIMES)])
  await until(() => isComputing(kept), 60_000)
  // A session that another one has left ends with its lease: this one does not, though it is older.
  await using gone = run([BLOCKED, cluster.url, '/gone', JSON.stringify(TIMES)])
  await until(() => isComputing(gone), 60_000)
  await gone[Symbol.asyncDispose]()
  await until(async () => (await opens()) === 1, 60_000)
  kept.goOn()
  assert.is(await deadline('the first one ends', 60_000, kept.ended), 0)
  assert.is(kept.output(), 'computing\ndone\n')
  assert.equal([...(await files.readFile('/kept'))], [1, 2, 3, 4, 5])
  // With its connection gone as well the lease is over: nothing is lost without a word.
  await using lost = run([BLOCKED, cluster.url, '/lost', JSON.stringify(TIMES)])
  await until(() => isComputing(lost), 60_000)
  await cluster.kill('manager')
  await cluster.restart('manager')
  assert.is(await opens(), 1)
  await until(async () => (await opens()) === 0, 60_000)
  lost.goOn()
  assert.is(await deadline('the second one ends', 60_000, lost.ended), 0)
  assert.match(lost.output(), /^computing\n(LEASE_LOST|STALE)\n$/)
  assert.equal([...(await files.readFile('/lost'))], [1, 2, 3])
})

test.run()

interface Program extends AsyncDisposable {
  readonly ended: Promise<number | null>
  output(): string
  goOn(): void
}

function program(url: string, path: string, threads: 'with' | 'without'): Program {
  return run([PROGRAM, url, path, threads, JSON.stringify(TIMES)])
}

function run(args: readonly string[]): Program {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
  })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    ended,
    output: () => output,
    goOn: () => child.stdin.end('\n'),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function isComputing(one: Program): boolean {
  return one.output().startsWith('computing\n')
}
