// Accesses past the iods by real processes, on a real disk.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type DirectCounts, FileSystem } from '../../lib/index.js'
import { startCluster } from '../../servers/cluster.js'
import { deadline, until } from '../support/assertions.js'
import { unlessMissing } from '../support/optional.js'

const PROGRAM = join(import.meta.dirname, 'direct-program.js')
const BYTES = 100_000
const NOBODY = 65_534

const test = suite('direct access of processes')
const ifSomebodyElse = unlessMissing(test, strangerMissing())

test('iods that are killed and started again while a file is used past them lose nothing', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'rw', stripSize: 4096 })
  await using other = await files.open('/f', 'r', { direct: 'off' })
  const use = async (value: number): Promise<void> => {
    await file.write(new Uint8Array(BYTES).fill(value), 0, BYTES, 0)
    for (const each of [file, other]) {
      const { bytesRead, buffer } = await each.read(new Uint8Array(BYTES), 0, BYTES, 0)
      assert.is(bytesRead, BYTES)
      assert.ok(buffer.every((byte) => byte === value))
    }
  }
  let value = 0
  for (const iod of [0, 1]) {
    for (let i = 0; i < 3; i++) await use(++value)
    await cluster.kill(iod)
    // What is called while it is away waits for it.
    const using = use(++value)
    await cluster.restart(iod)
    await deadline('the iod is back', 60_000, using)
    for (let i = 0; i < 3; i++) await use(++value)
  }
  const { reads, writes, grants } = files.directCounts
  assert.ok(reads > 0 && writes > 0)
  // For each part and direction, and once more for the iod that was started.
  assert.ok(grants >= 8, `${grants} grants`)
  await file.sync()
})

test('a process that is stopped delays a cut by a lease, and what it writes then comes behind the cut', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using files = await FileSystem.connect(cluster.url)
  await files.writeFile('/f', new Uint8Array(BYTES))
  await using user = await User.start(cluster.url)
  for (const value of [1, 2, 3]) assert.equal((await user.ask(`write ${value}`)).bytes, [value])
  assert.ok((await user.ask('read')).counts.writes > 0)
  user.process.kill('SIGSTOP')
  await deadline('the cut', 30_000, files.truncate('/f', 10))
  assert.is((await files.stat('/f')).size, 10)
  user.process.kill('SIGCONT')
  assert.equal((await user.ask('read')).bytesRead, 10)
  assert.equal((await user.ask('write 7')).bytes, [7])
  assert.equal(new Set(await files.readFile('/f')), new Set([7]))
})

test('a process that dies while it writes past an iod keeps nobody from removing the file', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using files = await FileSystem.connect(cluster.url)
  await files.writeFile('/f', new Uint8Array(BYTES))
  await using user = await User.start(cluster.url)
  for (const value of [1, 2]) await user.ask(`write ${value}`)
  user.process.kill('SIGKILL')
  await deadline('the cut', 30_000, files.truncate('/f', 10))
  await deadline('the removal', 30_000, files.unlink('/f'))
  await files.writeFile('/f', new Uint8Array(10).fill(9))
  assert.equal(new Set(await files.readFile('/f')), new Set([9]))
})

ifSomebodyElse(
  'a process of another user goes through the iods, and its counts say why',
  async () => {
    await using cluster = await startCluster({ iods: 1 })
    await using files = await FileSystem.connect(cluster.url)
    await files.writeFile('/f', new Uint8Array(BYTES))
    await using user = await User.start(cluster.url, { uid: NOBODY, gid: NOBODY })
    for (const value of [1, 2, 3]) assert.equal((await user.ask(`write ${value}`)).bytes, [value])
    const { counts } = await user.ask('read')
    assert.equal([counts.reads, counts.writes, counts.open], [0, 0, 0])
    assert.ok((counts.detours.forbidden ?? 0) > 0)
    assert.equal(new Set(await files.readFile('/f')), new Set([3]))
  },
)

test.run()

// A clone in a private folder is nobody's to read.
function strangerMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can become somebody else'
  const look = ['-e', 'require("node:fs").readFileSync(process.argv[1])', PROGRAM]
  const who = { uid: NOBODY, gid: NOBODY, cwd: '/' }
  const { status } = spawnSync(process.execPath, look, who)
  return status === 0 ? undefined : 'other users may not read this folder'
}

interface Said {
  readonly bytesRead: number
  readonly bytes: readonly number[]
  readonly counts: DirectCounts
}

/** A process that runs the program. */
class User implements AsyncDisposable {
  readonly process: ChildProcess
  readonly #ended: Promise<unknown>
  #lines: string[] = []

  private constructor(url: string, who: { readonly uid?: number; readonly gid?: number }) {
    this.process = spawn(process.execPath, [PROGRAM, url], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: '/',
      ...who,
    })
    this.#ended = once(this.process, 'close')
    let output = ''
    this.process.stdout?.on('data', (chunk) => {
      output += String(chunk)
      this.#lines = output.split('\n').slice(0, -1)
    })
  }

  static async start(
    url: string,
    who: { readonly uid?: number; readonly gid?: number } = {},
  ): Promise<User> {
    const user = new User(url, who)
    await until(() => user.#lines.length === 1, 60_000)
    return user
  }

  async ask(line: string): Promise<Said> {
    const before = this.#lines.length
    this.process.stdin?.write(`${line}\n`)
    await until(() => this.#lines.length > before, 60_000)
    return JSON.parse(this.#lines[before] ?? '') as Said
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#ended
  }
}
