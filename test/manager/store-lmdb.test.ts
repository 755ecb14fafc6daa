import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  mkdtemp,
  open as openFile,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { open } from 'lmdb'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { lockDirectory } from '../../servers/common/lock.js'
import { LMDB_FILE, openLmdbStore } from '../../servers/manager/store/lmdb.js'
import { entriesOf, type Store } from '../../servers/manager/store/store.js'
import { type StorePlace, storeContract } from '../contract/store.js'
import { rejects } from '../support/assertions.js'
import { missingCommand, unlessMissing } from '../support/optional.js'

const test = suite('lmdb store')
const ifStrace = unlessMissing(test, missingCommand('strace'))

const WRITER = new URL('store-writer.js', import.meta.url).pathname

storeContract(test, async (): Promise<StorePlace> => {
  const folder = await temporaryFolder()
  return { open: () => openLmdbStore(folder.path), [Symbol.asyncDispose]: () => folder.remove() }
})

test('the directory is made, for its owner alone', async () => {
  await using folder = await temporaryFolder()
  const directory = join(folder.path, 'a', 'b')
  await using store = await openLmdbStore(directory)
  assert.is((await stat(directory)).mode & 0o777, 0o700)
  await put(store, 'a', '1')
})

test('what was put is there after the store was closed and opened again', async () => {
  await using folder = await temporaryFolder()
  const first = await openLmdbStore(folder.path)
  await put(first, 'a', '1')
  await put(first, 'b', '')
  await first.close()
  await using second = await openLmdbStore(folder.path)
  assert.equal(await second.get(bytes('a')), bytes('1'))
  assert.equal(await second.get(bytes('b')), bytes(''))
})

test('what is asked for while a commit runs is one commit of LMDB, one flush for all', async () => {
  await using folder = await temporaryFolder()
  const names = Array.from({ length: 500 }, (_, index) => `k${index}`)
  const first = await openLmdbStore(folder.path)
  await put(first, 'alone', '1')
  await first.close()
  const before = commitsOf(folder.path)
  const second = await openLmdbStore(folder.path)
  await Promise.all(names.map((name) => put(second, name, '1')))
  await second.close()
  assert.is(commitsOf(folder.path) - before, 1)
  await using third = await openLmdbStore(folder.path)
  assert.is(await count(third), names.length + 1)
})

/** Commits that LMDB itself has numbered. */
function commitsOf(directory: string): number {
  const database = open({ path: join(directory, LMDB_FILE), readOnly: true })
  const { lastTxnId } = database.getStats() as { readonly lastTxnId: number }
  void database.close()
  return lastTxnId
}

test('a bit that flipped in a value is found by get, range, compare and a walk, and the key is named', async () => {
  await using folder = await temporaryFolder()
  const first = await openLmdbStore(folder.path)
  await put(first, 'good', 'untouched')
  await put(first, 'hurt', 'a-value-to-be-hurt')
  await first.close()
  await flipByteAfter(join(folder.path, LMDB_FILE), 'a-value-to-be-')
  await using second = await openLmdbStore(folder.path)
  const error = await rejects(second.get(bytes('hurt')), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'CHECKSUM')
  assert.match(error.message, /68757274/)
  await rejects(second.range(bytes(''), undefined, 10), 'MPI_ERR_IO')
  const compare = [{ key: bytes('hurt'), value: bytes('x') }]
  const transaction = { compare, operations: [], durability: 'flushed' } as const
  assert.is((await rejects(second.transact(transaction))).context.reason, 'CHECKSUM')
  await rejects(count(second), 'MPI_ERR_IO')
  assert.equal(await second.keys(bytes(''), undefined, 10), [bytes('good'), bytes('hurt')])
  assert.equal(await second.get(bytes('good')), bytes('untouched'))
  await put(second, 'hurt', 'mended')
  assert.equal(await second.get(bytes('hurt')), bytes('mended'))
})

test('a file that was cut off is refused, and says how much is there', async () => {
  await using folder = await temporaryFolder()
  const first = await openLmdbStore(folder.path)
  for (let index = 0; index < 40; index++) await put(first, `k${index}`, 'v'.repeat(1000))
  await first.close()
  await truncate(join(folder.path, LMDB_FILE), 6 * 4096)
  const error = await rejects(openLmdbStore(folder.path), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'CHECKSUM')
  assert.match(error.message, /cut off, 24576 of \d+ bytes/)
  await using lock = await lockDirectory(folder.path)
  assert.is(lock.path, folder.path)
})

test('a file that is no store is refused, and the directory is free afterwards', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, LMDB_FILE), 'x'.repeat(10_000))
  const error = await rejects(openLmdbStore(folder.path), 'MPI_ERR_IO')
  assert.match(error.message, /is no LMDB file of data version 2/)
  await using lock = await lockDirectory(folder.path)
  assert.is(lock.path, folder.path)
})

test('a path that cannot be a directory is refused', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'file'), '')
  await rejects(openLmdbStore(join(folder.path, 'file', 'store')), 'MPI_ERR_BAD_FILE')
})

test('a store held by another process is refused with the id of that process', async () => {
  await using folder = await temporaryFolder()
  await using writer = startWriter(folder.path)
  await writer.acknowledged(1)
  const error = await rejects(openLmdbStore(folder.path), 'MPI_ERR_IO')
  assert.is(error.context.errno, 'EBUSY')
  assert.match(error.message, new RegExp(`process ${writer.child.pid}$`))
})

test('a writer killed while it commits loses nothing that it acknowledged', async () => {
  await using folder = await temporaryFolder()
  for (let round = 1; round <= 6; round++) {
    await using writer = startWriter(folder.path)
    await writer.acknowledged(50 * round)
    const acknowledged = await writer.kill()
    await using store = await openLmdbStore(folder.path)
    await checkWritten(store, acknowledged)
  }
})

ifStrace(
  'a failed flush poisons the store, and nothing of that commit is there afterwards',
  async () => {
    await using folder = await temporaryFolder()
    await using writer = startWriter(folder.path, [
      'strace',
      '-f',
      '-o',
      '/dev/null',
      '-e',
      'inject=fdatasync:error=EIO:when=3+',
    ])
    const acknowledged = await writer.ended()
    assert.match(writer.output(), /poisoned MPI_ERR_IO EIO, then MPI_ERR_IO/)
    await using store = await openLmdbStore(folder.path)
    assert.is(await count(store), 2 * acknowledged.length)
  },
)

interface Folder extends AsyncDisposable {
  readonly path: string
  remove(): Promise<void>
}

async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'store-'))
  await chmod(path, 0o700)
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true })
  return { path, remove, [Symbol.asyncDispose]: remove }
}

interface Writer extends AsyncDisposable {
  readonly child: ChildProcess
  output(): string
  /** Resolves when so many transactions were acknowledged. */
  acknowledged(count: number): Promise<void>
  /** Kills the writer, and tells the transactions that it had acknowledged. */
  kill(): Promise<string[]>
  /** Awaits the end of the writer, and tells the same. */
  ended(): Promise<string[]>
}

function startWriter(directory: string, wrapper: readonly string[] = []): Writer {
  const command = [...wrapper, process.execPath, WRITER, directory]
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => lines.push(line))
  const closed = Promise.all([once(child, 'exit'), once(reader, 'close')])
  const numbers = (): string[] => lines.filter((line) => /^\d+$/.test(line))
  const ended = async (): Promise<string[]> => {
    await closed
    return numbers()
  }
  return {
    child,
    output: () => lines.join('\n'),
    acknowledged: async (wanted) => {
      while (numbers().length < wanted) await once(reader, 'line')
    },
    kill: () => {
      child.kill('SIGKILL')
      return ended()
    },
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await closed
    },
  }
}

/** The writer's transaction n puts two keys; it may have got further than it could tell. */
async function checkWritten(store: Store, acknowledged: readonly string[]): Promise<void> {
  for (const number of acknowledged) {
    assert.equal(await store.get(bytes(`a${number}`)), bytes(number), `a${number}`)
    assert.equal(await store.get(bytes(`b${number}`)), bytes(number), `b${number}`)
  }
  assert.is((await count(store)) % 2, 0, 'half of a transaction')
}

async function count(store: Store): Promise<number> {
  let found = 0
  for await (const _ of entriesOf(store, bytes(''))) found++
  return found
}

async function flipByteAfter(file: string, marker: string): Promise<void> {
  const content = await readFile(file)
  const at = content.indexOf(marker) + marker.length
  const handle = await openFile(file, 'r+')
  try {
    await handle.write(Uint8Array.of((content[at] ?? 0) ^ 1), 0, 1, at)
  } finally {
    await handle.close()
  }
}

async function put(store: Store, key: string, value: string): Promise<void> {
  const operations = [{ key: bytes(key), value: bytes(value) }]
  await store.transact({ compare: [], operations, durability: 'flushed' })
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

test.run()
