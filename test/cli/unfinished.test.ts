// Copies that do not come to their end: what is there then, and what is not.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { isLeftOver, unfinishedName } from '../../servers/cli/leftovers.js'
import { replaceLocal, replaceRemote } from '../../servers/cli/replace.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { rejects, until } from '../support/assertions.js'
import { listings } from '../support/listings.js'
import { COMMAND, ok, type RunningCommand, startNode, temporaryFolder } from '../support/command.js'

const test = suite('rankio: unfinished copies')

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`a copy that ${signal} interrupts leaves the file from before, or none, and nothing else`, async () => {
    await using cluster = await startCluster({ iods: 2 })
    await using folder = await temporaryFolder()
    await using fileSystem = await FileSystem.connect(cluster.url)
    await ok(cluster, ['cp', '-', 'rankio:/f'], { input: Buffer.from('kept') })
    await writeFile(folder.at('f'), 'kept')
    // Nothing but holes, and seconds to copy.
    await fileSystem.writeFile('/big', '')
    await fileSystem.truncate('/big', 2 ** 32)
    for (const target of ['rankio:/f', 'rankio:/new', folder.at('f'), folder.at('new')]) {
      const isLocal = target.startsWith('/')
      const args = isLocal ? [`${cluster.url}/big`, target] : ['-', target]
      const command = startCopy(cluster, args)
      // More than a chunk, so that some of it is written; the rest never comes.
      if (!isLocal) command.process.stdin.write(randomBytes(5 * 2 ** 20))
      await until(async () => {
        const names = isLocal ? await readdir(folder.path) : await namesOf(fileSystem)
        return names.some((name) => name.startsWith('.rankio-cp-'))
      })
      command.process.kill(signal)
      const end = await command.ended
      assert.equal([end.code, end.stderr], [code, ''], target)
    }
    assert.equal(await namesOf(fileSystem), ['big', 'f'])
    assert.equal(await readdir(folder.path), ['f'])
    assert.is(await text(cluster, ['cp', 'rankio:/f', '-']), 'kept')
    assert.is(await readFile(folder.at('f'), 'utf8'), 'kept')
  })
}

test('a copy that is killed leaves a file that the next one into that directory removes; those of the living stay', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using folder = await temporaryFolder()
  await using fileSystem = await FileSystem.connect(cluster.url)
  const isUnfinished = (name: string): boolean => name.startsWith('.rankio-cp-')
  const living = startCopy(cluster, ['-', 'rankio:/living'])
  living.process.stdin.write(randomBytes(5 * 2 ** 20))
  await until(async () => (await namesOf(fileSystem)).some(isUnfinished))
  const [kept = ''] = (await namesOf(fileSystem)).filter(isUnfinished)
  await fileSystem.writeFile('/big', '')
  await fileSystem.truncate('/big', 2 ** 32)
  for (const target of ['rankio:/f', folder.at('f')]) {
    const isLocal = target.startsWith('/')
    const names = async (): Promise<string[]> =>
      (isLocal ? await readdir(folder.path) : await namesOf(fileSystem)).filter(isUnfinished)
    const command = startCopy(cluster, isLocal ? [`${cluster.url}/big`, target] : ['-', target])
    if (!isLocal) command.process.stdin.write(randomBytes(5 * 2 ** 20))
    const others = isLocal ? [] : [kept]
    await until(async () => (await names()).length > others.length)
    command.process.kill('SIGKILL')
    await command.ended
    assert.is((await names()).length, others.length + 1)
    await ok(cluster, isLocal ? ['cp', 'rankio:/g', target] : ['cp', '-', 'rankio:/g'])
    assert.equal(await names(), others)
  }
  living.process.stdin.end()
  assert.is((await living.ended).code, 0)
  assert.equal(await namesOf(fileSystem), ['big', 'g', 'living'])
})

test('what the dead have left goes at the cost of one listing, however large the directory, also beside a relative path', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using fileSystem = await FileSystem.connect(cluster.url)
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  // Those of another host come before and behind, and the names of the directory behind all.
  const others = ['0', 'f'].map((digit) => `.rankio-cp-${digit.repeat(8)}-1-${'0'.repeat(12)}`)
  const large = Array.from({ length: 2 * LIMITS.namesPerPage }, (_, index) => `name ${index}`)
  const names = [...others, ...large, unfinishedName()]
  await Promise.all(names.map((name) => fileSystem.mkdir(name)))
  for (const path of ['/f', 'f']) {
    const dead = unfinishedName(pid)
    await fileSystem.writeFile(dead, '')
    const listed = await listings(async () => {
      await using replacement = await replaceRemote(fileSystem, path, {
        mode: undefined,
        layout: {},
      })
      await replacement.commit()
    })
    assert.equal([listed.asked, listed.names <= LIMITS.namesPerPage], [1, true], path)
    const left = await namesOf(fileSystem)
    assert.not(left.includes(dead), path)
    assert.is(left.length, names.length + 1)
  }
})

test('who may not be signalled, or looked at, is not dead', () => {
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  assert.ok(isLeftOver(unfinishedName(pid)))
  assert.not(isLeftOver(unfinishedName()))
  const original = Object.getOwnPropertyDescriptor(process, 'kill')
  assert.ok(original)
  process.kill = () => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' })
  }
  try {
    assert.not(isLeftOver(unfinishedName(pid)))
  } finally {
    Object.defineProperty(process, 'kill', original)
  }
})

test('a file on a file system that cannot make it durable is copied, and one that fails to be is not', async () => {
  await using folder = await temporaryFolder()
  for (const code of ['EINVAL', 'EIO']) {
    const copying = withSync(
      () => {
        throw Object.assign(new Error(code), { code })
      },
      () => copyTo(folder.at(code)),
    )
    if (code === 'EINVAL') await copying
    else assert.is((await rejects(copying)).context.errno, 'EIO')
  }
  assert.equal(await readdir(folder.path), ['EINVAL'])
})

test('a local copy is durable before it gets its name, and the name before the command ends', async () => {
  await using folder = await temporaryFolder()
  await writeFile(folder.at('f'), 'old')
  const seen: string[] = []
  await withSync(
    async (sync) => {
      seen.push(await readFile(folder.at('f'), 'utf8'))
      await sync()
    },
    () => copyTo(folder.at('f')),
  )
  assert.equal(seen, ['old', 'new'])
})

test.run()

/** Copies a few bytes to a local path. */
async function copyTo(path: string): Promise<void> {
  await using replacement = await replaceLocal(path, 0o666)
  await replacement.end.write(Buffer.from('new'), 0)
  await replacement.commit()
}

/** Does something while every sync of a file is done by `sync`, which may call the real one. */
async function withSync(
  sync: (original: () => Promise<void>) => Promise<void>,
  body: () => Promise<void>,
): Promise<void> {
  const some = await open(COMMAND)
  const prototype = Object.getPrototypeOf(some) as { sync: (this: unknown) => Promise<void> }
  await some.close()
  const original = Object.getOwnPropertyDescriptor(prototype, 'sync')
  assert.ok(original)
  prototype.sync = async function (): Promise<void> {
    await sync(() => (original.value as () => Promise<void>).call(this))
  }
  try {
    await body()
  } finally {
    Object.defineProperty(prototype, 'sync', original)
  }
}

/** A copy whose standard input stays open. */
function startCopy(cluster: Cluster, args: readonly string[]): RunningCommand {
  return startNode([COMMAND, 'cp', ...args], { env: cluster.environment, open: true })
}

async function namesOf(fileSystem: FileSystem): Promise<string[]> {
  return (await fileSystem.readdir('/')).map(({ name }) => name)
}

async function text(cluster: Cluster, args: readonly string[]): Promise<string> {
  return (await ok(cluster, args)).stdout.toString()
}
