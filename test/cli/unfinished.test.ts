// Copies that do not come to their end: what is there then, and what is not.
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { replaceLocal } from '../../servers/cli/replace.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { until } from '../support/assertions.js'
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

test('a local copy is durable before it gets its name, and the name before the command ends', async () => {
  await using folder = await temporaryFolder()
  await writeFile(folder.at('f'), 'old')
  const some = await open(folder.at('f'))
  const prototype = Object.getPrototypeOf(some) as { sync: (this: unknown) => Promise<void> }
  await some.close()
  const original = Object.getOwnPropertyDescriptor(prototype, 'sync')
  assert.ok(original)
  const seen: string[] = []
  prototype.sync = async function (): Promise<void> {
    seen.push(await readFile(folder.at('f'), 'utf8'))
    await (original.value as () => Promise<void>).call(this)
  }
  try {
    await using replacement = await replaceLocal(folder.at('f'), 0o666)
    await replacement.end.write(Buffer.from('new'), 0)
    await replacement.commit()
  } finally {
    Object.defineProperty(prototype, 'sync', original)
  }
  assert.equal(seen, ['old', 'new'])
})

test.run()

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
