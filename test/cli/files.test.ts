import { createHash, randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { chmod, link, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { localOffsetOf, partOf } from '../../lib/layout/striping.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { COMMAND, ok, runCommand, temporaryFolder } from '../support/command.js'

const SIZE = 3 * 2 ** 20 + 1

const test = suite('rankio: files')

test('a file goes there and back, and its bytes stand on the iods as its layout says', async () => {
  await using cluster = await startCluster({ iods: 3 })
  await using folder = await temporaryFolder()
  const bytes = randomBytes(SIZE)
  await writeFile(folder.at('source'), bytes)
  await chmod(folder.at('source'), 0o640)
  const layout = ['--strip', '16KiB', '--iods', '2']
  await ok(cluster, ['cp', ...layout, folder.at('source'), 'rankio:/f'])
  await ok(cluster, ['cp', `${cluster.url}/f`, folder.at('target')])
  const back = await readFile(folder.at('target'))
  assert.is(digest(back), digest(bytes))
  assert.is((await stat(folder.at('target'))).mode & 0o777, 0o640)
  assert.is(digest(await assembled(cluster, '/f', SIZE)), digest(bytes))
})

test('a name without a slash before it counts from the root, however it is written', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using folder = await temporaryFolder()
  await writeFile(folder.at('source'), 'abc')
  await ok(cluster, ['mkdir', 'd'])
  await ok(cluster, ['cp', folder.at('source'), 'rankio:d/f'])
  await ok(cluster, ['cp', 'rankio:d/f', folder.at('target')])
  assert.is(await readFile(folder.at('target'), 'utf8'), 'abc')
  for (const place of ['/d', 'd', 'rankio:d', 'rankio:/d', `${cluster.url}/d`])
    assert.is((await ok(cluster, ['ls', place])).stdout.toString(), 'f\n', place)
})

test('an empty file and a file that is replaced by a shorter one have exactly their bytes', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using folder = await temporaryFolder()
  await writeFile(folder.at('empty'), '')
  await writeFile(folder.at('long'), randomBytes(200_000))
  for (const name of ['long', 'empty']) {
    await ok(cluster, ['cp', folder.at(name), 'rankio:/f'])
    await ok(cluster, ['cp', 'rankio:/f', folder.at('back')])
    assert.equal(await readFile(folder.at('back')), await readFile(folder.at(name)))
  }
})

test('standard input and output can be either end, in order and to the last byte', async () => {
  await using cluster = await startCluster({ iods: 2 })
  const input = randomBytes(9 * 2 ** 20 + 5)
  await ok(cluster, ['cp', '-', 'rankio:/f'], { input })
  const { stdout } = await ok(cluster, ['cp', 'rankio:/f', '-'])
  assert.is(digest(stdout), digest(input))
})

test('a file that is replaced keeps its permissions and its layout; who has it open keeps its bytes', async () => {
  await using cluster = await startCluster({ iods: 3 })
  await using folder = await temporaryFolder()
  await using fileSystem = await FileSystem.connect(cluster.url)
  await writeFile(folder.at('f'), 'new')
  await chmod(folder.at('f'), 0o604)
  await ok(cluster, ['cp', '--strip', '16KiB', '--iods', '2', '-', 'rankio:/f'], {
    input: Buffer.from('before'),
  })
  await fileSystem.chmod('/f', 0o640)
  const before = await fileSystem.stat('/f')
  await using reader = await fileSystem.open('/f', 'r')
  await ok(cluster, ['cp', folder.at('f'), 'rankio:/f'])
  const after = await fileSystem.stat('/f')
  assert.equal([after.mode, after.layout], [before.mode, before.layout])
  assert.is(await text(cluster, ['cp', 'rankio:/f', '-']), 'new')
  assert.is(await reader.size(), 6)
  await ok(cluster, ['cp', '--strip', '4KiB', folder.at('f'), 'rankio:/f'])
  const { layout } = await fileSystem.stat('/f')
  assert.equal([layout?.stripSize, layout?.iodCount], [4096, 2])
  await chmod(folder.at('f'), 0o600)
  await ok(cluster, ['cp', 'rankio:/f', folder.at('f')])
  assert.is((await stat(folder.at('f'))).mode & 0o777, 0o600)
})

test('a local file with several names, a link and a pipe are written as they are', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using folder = await temporaryFolder()
  await ok(cluster, ['cp', '-', 'rankio:/f'], { input: Buffer.from('new') })
  await writeFile(folder.at('one'), 'before')
  await link(folder.at('one'), folder.at('two'))
  await writeFile(folder.at('three'), 'before')
  await symlink('three', folder.at('link'))
  await symlink('four', folder.at('nowhere'))
  for (const name of ['one', 'link', 'nowhere'])
    await ok(cluster, ['cp', 'rankio:/f', folder.at(name)])
  for (const name of ['two', 'three', 'four'])
    assert.is(await readFile(folder.at(name), 'utf8'), 'new', name)
  assert.ok((await lstat(folder.at('link'))).isSymbolicLink())
  execFileSync('mkfifo', [folder.at('pipe')])
  const copies = [
    ok(cluster, ['cp', 'rankio:/f', folder.at('pipe')]),
    ok(cluster, ['cp', folder.at('pipe'), 'rankio:/through']),
  ]
  await Promise.all(copies)
  assert.is(await text(cluster, ['cp', 'rankio:/through', '-']), 'new')
})

test('a directory as target takes the name of the source, here and there', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using folder = await temporaryFolder()
  await writeFile(folder.at('one'), '1')
  await mkdir(folder.at('local'))
  await ok(cluster, ['mkdir', '-p', '/a/b'])
  await ok(cluster, ['mkdir', '-p', '/a/b'])
  await ok(cluster, ['cp', folder.at('one'), 'rankio:/a/b'])
  await ok(cluster, ['cp', 'rankio:/a/b/one', 'rankio:/a/two'])
  await ok(cluster, ['cp', 'rankio:/a/two', folder.at('local')])
  assert.is(await readFile(folder.at('local/two'), 'utf8'), '1')
  await ok(cluster, ['mv', '/a/two', '/a/b'])
  assert.is(await text(cluster, ['ls', '/a/b']), 'one\ntwo\n')
})

test('ls and stat show what there is', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await ok(cluster, ['mkdir', '/d'])
  await ok(cluster, ['cp', '--strip', '4096', '-', 'rankio:/f'], { input: Buffer.alloc(5000) })
  assert.is(await text(cluster, ['ls']), 'd\nf\n')
  assert.is(await text(cluster, ['ls', '/f']), '/f\n')
  const long = await text(cluster, ['ls', '-l', '/'])
  const date = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d'
  assert.match(
    long,
    new RegExp(`^drwxr-xr-x  \\d+:\\d+ +0  ${date}  d\n-rw-r--r--  \\d+:\\d+  5000  ${date}  f\n$`),
  )
  const shown = await text(cluster, ['stat', 'rankio:/f'])
  assert.match(shown, /^size +5000 bytes \(4\.9 KiB\)$/m)
  assert.match(shown, /^mode +0644 \(-rw-r--r--\)$/m)
  assert.match(shown, /^layout +strips of 4 KiB on 2 of 2 iods$/m)
  assert.match(shown, /^iods +(0 \(up\), 1 \(up\)|1 \(up\), 0 \(up\))$/m)
  assert.match(await text(cluster, ['stat', '/d']), /^kind +directory$/m)
})

test('rm goes on after a failure and tells each', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await ok(cluster, ['cp', '-', 'rankio:/a'], { input: Buffer.from('a') })
  await ok(cluster, ['mkdir', '/d'])
  const end = await runCommand(['rm', '/none', '/d', '/a'], { env: cluster.environment })
  assert.match(
    end.stderr,
    /^rankio rm: .*"\/none": it does not exist\nrankio rm: .*"\/d": it is a directory; rankio rmdir removes an empty one\n$/,
  )
  assert.is(end.code, 1)
  assert.is(await text(cluster, ['ls']), 'd\n')
  await ok(cluster, ['rmdir', '/d'])
  assert.is(await text(cluster, ['ls']), '')
})

const FAILURES: readonly (readonly [args: readonly string[], line: RegExp])[] = [
  [['cp', 'rankio:/none', 'x'], /^rankio cp: .*"\/none": it does not exist\n$/],
  [['cp', 'none', 'rankio:/x'], /^rankio cp: "none": it does not exist \(ENOENT\)\n$/],
  [['cp', '.', 'rankio:/x'], /^rankio cp: "\.": it is a directory\n$/],
  [['cp', 'rankio:/f', 'rankio:/f'], /^rankio cp: "\/f" and "\/f": they are the same file\n$/],
  [
    ['cp', 'rankio:/f', 'none/x'],
    /^rankio cp: "none\/x": there is no directory "none" \(ENOENT\)\n$/,
  ],
  [['cp', 'rankio:/', 'x'], /^rankio cp: .*"\/": it is a directory\n$/],
  [
    ['cp', '--iods', '9', 'rankio:/f', 'rankio:/x'],
    /^rankio cp: .*9 iods were asked for, there are 1\n$/,
  ],
  [
    ['cp', 'rankio:/f', 'rankio:/no/x'],
    /^rankio cp: .*there is no directory "no" on the way; rankio mkdir -p makes it\n$/,
  ],
  [['cp', 'rankio:/f', 'rankio:/no/'], /^rankio cp: .*it ends with a slash, as only a .*\n$/],
  [['cp', 'rankio:/f', 'rankio:/f/x'], /^rankio cp: .*"f" is a file\n$/],
  [
    ['stat', '/f/'],
    /^rankio stat: .*"\/f\/": it is a file, and only a directory may end with a slash\n$/,
  ],
  [
    ['mkdir', '/no/x'],
    /^rankio mkdir: .*there is no directory "no" on the way; with -p it is made\n$/,
  ],
  [['ls', '/none'], /^rankio ls: .*"\/none": it does not exist\n$/],
  [['mkdir', '/f'], /^rankio mkdir: .*"\/f": it exists.*\n$/],
  [['rmdir', '/f'], /^rankio rmdir: .*"\/f": .*\n$/],
  [['mv', '/f', '/f'], /^rankio mv: "\/f": it has that name already\n$/],
  [['mv', '/f', '/'], /^rankio mv: "\/f": it has that name already\n$/],
  [['mv', '/none', '/x'], /^rankio mv: .*"\/none": it does not exist\n$/],
]

test('every failure is one line, and nothing is made', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using folder = await temporaryFolder()
  await ok(cluster, ['cp', '-', 'rankio:/f'], { input: Buffer.from('kept') })
  for (const [args, line] of FAILURES) {
    // One after the other: each sees what the one before has left.
    const end = await runCommand(args, { env: cluster.environment, cwd: folder.path })
    assert.match(end.stderr, line)
    assert.is(end.code, 1, args.join(' '))
  }
  assert.is(await text(cluster, ['ls']), 'f\n')
  assert.is(await text(cluster, ['cp', 'rankio:/f', '-']), 'kept')
})

test('a reader that goes away is no error of ls', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await ok(cluster, ['mkdir', '/a'])
  const end = await runCommand(
    ['run', '-n', '1', '--no-prefix', 'sh', '-c', `"$NODE" "$COMMAND" ls | true`],
    {
      env: { ...cluster.environment, NODE: process.execPath, COMMAND },
    },
  )
  assert.is(end.stderr, '')
  assert.is(end.code, 0)
})

test.run()

async function text(cluster: Cluster, args: readonly string[]): Promise<string> {
  return (await ok(cluster, args)).stdout.toString()
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The file put together byte for byte from the datafiles, not by the client that wrote it. */
async function assembled(cluster: Cluster, path: string, size: number): Promise<Uint8Array> {
  await using fileSystem = await FileSystem.connect(cluster.url)
  const { handle, layout } = await fileSystem.stat(path)
  assert.ok(layout)
  assert.is(layout.stripSize, 16_384)
  assert.is(layout.iodCount, 2)
  const iods = [0, 1].map((part) => (layout.firstIod + part) % layout.iodTotal)
  const parts = await Promise.all(iods.map((iod) => readFile(cluster.datafile(iod, handle))))
  assert.is(
    parts.reduce((sum, part) => sum + part.length, 0),
    size,
  )
  const whole = new Uint8Array(size)
  for (let offset = 0; offset < size; offset++) {
    whole[offset] = parts[partOf(layout, offset)]?.[localOffsetOf(layout, offset)] ?? 0
  }
  return whole
}
