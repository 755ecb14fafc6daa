import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import {
  nodeClock,
  nodeDisk,
  nodeHostId,
  nodeRandom,
  nodeDescriptorLimit,
} from '../../lib/base/runtime-node.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { starvedMs } from '../support/starved.js'

const test = suite('runtime-node')

test('the limit of descriptors is the one that the system has for this process', () => {
  const told = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()
  const expected = told === 'unlimited' ? Number.POSITIVE_INFINITY : Number(told)
  assert.is(nodeDescriptorLimit(), expected)
})

test('a file is made, written, read, cut and removed', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a')
  const file = nodeDisk.open(path, 'create')
  assert.is(file.write(Uint8Array.of(1, 2, 3, 4), 10), 4)
  assert.is(file.size(), 14)
  const into = new Uint8Array(20).fill(9)
  assert.is(file.read(into, 8), 6)
  assert.equal([...into.subarray(0, 8)], [0, 0, 1, 2, 3, 4, 9, 9])
  assert.is(file.read(into, 14), 0)
  await file.sync()
  await file.truncate(11)
  file.close()
  file.close()
  assert.is(nodeDisk.sizeOf(path), 11)
  assert.equal([...(await readFile(path))].slice(9), [0, 1])
  assert.equal(nodeDisk.list(folder.path), ['a'])
  await nodeDisk.syncDirectory(folder.path)
  await nodeDisk.remove(path)
  assert.equal([nodeDisk.sizeOf(path), nodeDisk.exists(path)], [undefined, false])
})

test('a file that is missing is only made where that is asked for', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a')
  for (const mode of ['read', 'write'] as const)
    assert.is(
      codeOf(() => nodeDisk.open(path, mode)),
      'ENOENT',
    )
  nodeDisk.open(path, 'create').close()
  nodeDisk.open(path, 'write').close()
  const file = nodeDisk.open(path, 'read')
  assert.is(
    codeOf(() => file.write(Uint8Array.of(1), 0)),
    'EBADF',
  )
  file.close()
})

test('a symbolic link is not followed', async () => {
  await using folder = await temporaryFolder()
  const [target, link] = [join(folder.path, 'target'), join(folder.path, 'link')]
  await writeFile(target, 'secret')
  await symlink(target, link)
  for (const mode of ['read', 'write', 'create'] as const)
    assert.is(
      codeOf(() => nodeDisk.open(link, mode)),
      'ELOOP',
    )
  assert.is(nodeDisk.sizeOf(link), undefined)
})

test('files and directories are for their owner alone, whatever the umask says', async () => {
  await using folder = await temporaryFolder()
  const before = process.umask(0)
  try {
    nodeDisk.makeDirectory(join(folder.path, 'a/b/c'))
    nodeDisk.open(join(folder.path, 'a/b/c/file'), 'create').close()
  } finally {
    process.umask(before)
  }
  for (const [name, mode] of [
    ['a', 0o700],
    ['a/b', 0o700],
    ['a/b/c', 0o700],
    ['a/b/c/file', 0o600],
  ] as const) {
    assert.is((await stat(join(folder.path, name))).mode & 0o777, mode, name)
  }
  nodeDisk.makeDirectory(join(folder.path, 'a/b/c'))
})

test('a file gets another name, and what had the name is gone', async () => {
  await using folder = await temporaryFolder()
  const [from, to] = [join(folder.path, 'a'), join(folder.path, 'b')]
  const file = nodeDisk.open(from, 'create')
  file.write(Uint8Array.of(1), 0)
  file.close()
  nodeDisk.open(to, 'create').close()
  await nodeDisk.rename(from, to)
  assert.is(nodeDisk.sizeOf(from), undefined)
  assert.is(nodeDisk.sizeOf(to), 1)
})

test('a pipe with the name of a file holds nobody up, and is no file', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'pipe')
  execFileSync('mkfifo', [path])
  // In a process of its own, which could be held up for ever.
  const program = `
    import { nodeDisk } from ${JSON.stringify(new URL('../../lib/base/runtime-node.js', import.meta.url))}
    for (const mode of ['read', 'write'])
      try {
        console.log(nodeDisk.open(${JSON.stringify(path)}, mode).read(new Uint8Array(1), 0))
      } catch ({ code }) {
        console.log(code)
      }`
  const args = ['--input-type=module', '--eval', program]
  const said = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 })
  assert.equal(said.trim().split('\n'), ['ESPIPE', 'ESPIPE'])
})

test('a directory is no file', async () => {
  await using folder = await temporaryFolder()
  assert.is(nodeDisk.sizeOf(folder.path), undefined)
  assert.ok(nodeDisk.exists(folder.path))
  assert.is(
    codeOf(() => nodeDisk.open(folder.path, 'write')),
    'EISDIR',
  )
})

test('bytes are read ahead by threads, several times and of any number, and change nothing', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a')
  await writeFile(path, new Uint8Array(3 * 2 ** 20 + 7).fill(5))
  const file = nodeDisk.open(path, 'read')
  // Beyond the end there is nothing to read, which is no error.
  await Promise.all([file.warm(0, 2 ** 22), file.warm(1000, 10), file.warm(2 ** 40, 1)])
  const running = file.warm(0, 2 ** 22)
  file.close()
  await running.catch(() => {})
  assert.ok((await readFile(path)).every((byte) => byte === 5))
})

test('a file that was closed is not touched any more, not even by its number', async () => {
  await using folder = await temporaryFolder()
  const closed = nodeDisk.open(join(folder.path, 'a'), 'create')
  closed.close()
  const other = nodeDisk.open(join(folder.path, 'b'), 'create')
  throws(() => closed.write(Uint8Array.of(1), 0), 'MPI_ERR_FILE')
  throws(() => closed.read(new Uint8Array(1), 0), 'MPI_ERR_FILE')
  throws(() => closed.size(), 'MPI_ERR_FILE')
  for (const late of [closed.sync(), closed.truncate(0), closed.warm(0, 1)]) {
    assert.ok(
      await late.then(
        () => false,
        () => true,
      ),
    )
  }
  assert.is(other.size(), 0)
  other.close()
})

test('a close waits for what a thread is doing with the file', async () => {
  await using folder = await temporaryFolder()
  for (let round = 0; round < 20; round++) {
    const file = nodeDisk.open(join(folder.path, 'a'), 'create')
    file.write(new Uint8Array(100_000), 0)
    const running = [file.sync(), file.truncate(round), file.sync()]
    file.close()
    const other = nodeDisk.open(join(folder.path, 'b'), 'create')
    other.write(new Uint8Array(1000), 0)
    await Promise.all(running)
    assert.equal([nodeDisk.sizeOf(join(folder.path, 'a')), other.size()], [round, 1000])
    other.close()
  }
})

test('space is what the file system has', async () => {
  await using folder = await temporaryFolder()
  const { total, free } = await nodeDisk.space(folder.path)
  assert.ok(total > 0 && free > 0 && free <= total)
})

test('the verifier stays the same on one boot and mount, and has 8 bytes', async () => {
  await using folder = await temporaryFolder()
  const verifier = nodeDisk.verifier(folder.path)
  assert.is(verifier.length, 8)
  assert.equal(nodeDisk.verifier(folder.path), verifier)
})

test('the clock never steps back, and a cancelled timer does not fire', async () => {
  const before = nodeClock.now()
  let isFired = false
  nodeClock
    .timer(1, () => {
      isFired = true
    })
    .cancel()
  await new Promise<void>((resolve) => nodeClock.timer(5, resolve))
  assert.not(isFired)
  assert.ok(nodeClock.now() >= before + 4)
  assert.ok(nodeClock.wallTime() > 1_600_000_000_000)
})

test('how long a thread has waited for a processor is what Linux tells of it, and elsewhere nothing', async () => {
  const worker = new Worker(new URL('../support/starved.js', import.meta.url))
  const [[there]] = (await Promise.all([once(worker, 'message'), once(worker, 'exit')])) as [
    [number[]],
    unknown,
  ]
  for (const all of [starvedMs(), there])
    assert.equal(
      all,
      all.toSorted((one, other) => one - other),
    )
})

test('a timer beyond the longest of Node does not fire at once', async () => {
  let isFired = false
  const timer = nodeClock.timer(2 ** 40, () => {
    isFired = true
  })
  await new Promise<void>((resolve) => nodeClock.timer(5, resolve))
  timer.cancel()
  assert.not(isFired)
})

test('random bytes and fractions are random', () => {
  assert.is(nodeRandom.bytes(16).length, 16)
  assert.not.equal(nodeRandom.bytes(16), nodeRandom.bytes(16))
  const fraction = nodeRandom.fraction()
  assert.ok(fraction >= 0 && fraction < 1)
})

test('the host has one name', () => {
  assert.is(nodeHostId(), nodeHostId())
})

test('the checksum is CRC-32, and goes on from what came before', () => {
  assert.is(crc32(new TextEncoder().encode('123456789')), 0xcbf4_3926)
  assert.is(crc32(new Uint8Array(0)), 0)
})

property(test, 'a checksum in pieces is that of the whole', 50, (random) => {
  const bytes = random.bytes(random.int(0, 5000))
  const cut = random.int(0, bytes.length)
  assert.is(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), crc32(bytes))
})

test.run()

function codeOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return undefined
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'disk-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
