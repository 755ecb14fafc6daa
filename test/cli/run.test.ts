import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem, type FileSystemStatus } from '../../lib/index.js'
import { silentLog } from '../../servers/common/log.js'
import { startCluster, startManager } from '../../servers/index.js'
import { until } from '../support/assertions.js'
import { COMMAND, runCommand, startCommand, temporaryFolder } from '../support/command.js'
import { isRunning } from '../support/processes.js'

const test = suite('rankio run')

test('each rank knows its rank, the size, the job and the manager, and all are the same', async () => {
  await using folder = await temporaryFolder()
  const program = folder.at('program.mjs')
  await writeFile(
    program,
    'const { RANKIO_RANK: r, RANKIO_SIZE: s, RANKIO_JOB: j, RANKIO_MANAGER: m } = process.env\nconsole.log(JSON.stringify([r, s, j, m, process.argv.slice(2)]))\n',
  )
  const end = await runCommand(['run', '-n', '4', '--iods', '1', program, '-n', '--', 'x'])
  assert.is(end.stderr, '')
  assert.is(end.code, 0)
  const lines = end.stdout.toString().trim().split('\n').sort()
  const told = lines.map((line, rank) => {
    assert.ok(line.startsWith(`[${rank}] `), line)
    return JSON.parse(line.slice(4)) as unknown[]
  })
  const [, , job, manager] = told[0] ?? []
  assert.match(String(job), /^[0-9a-f]{16}$/)
  assert.match(String(manager), /^rankio:\/\/127\.0\.0\.1:\d+$/)
  const expected = [0, 1, 2, 3].map((rank) => [`${rank}`, '4', job, manager, ['-n', '--', 'x']])
  assert.equal(told, expected)
  assert.equal(leftClusters(), [])
})

test('the cluster of the job is used by its ranks', async () => {
  const shell = '"$NODE" "$COMMAND" mkdir "/rank$RANKIO_RANK"'
  const env = { NODE: process.execPath, COMMAND }
  const end = await runCommand(['run', '-n', '2', '--iods', '1', 'sh', '-c', shell], { env })
  assert.is(end.stderr, '')
  assert.is(end.code, 0)
})

test('a manager that is known is used: by option, else from the environment', async () => {
  await using manager = await loneManager()
  const program = ['sh', '-c', 'echo $RANKIO_MANAGER']
  await using other = await loneManager()
  const env = { RANKIO_MANAGER: other.url }
  const byOption = await runCommand(['run', '-n', '1', ...manager.args, ...program], { env })
  assert.is(byOption.stdout.toString(), `[0] ${manager.url}\n`)
  const byEnvironment = await runCommand(['run', '-n', '1', ...program], { env })
  assert.is(byEnvironment.stdout.toString(), `[0] ${other.url}\n`)
})

test('a manager that is not there, or is none, is said in one line before a rank is started', async () => {
  await using cluster = await startCluster({ iods: 1 })
  const { iods } = await statusOf(cluster.url)
  const iod = `rankio://127.0.0.1:${iods[0]?.port}`
  for (const [url, line] of [
    ['rankio://127.0.0.1:1', /^rankio run: manager: not reachable .*connection refused(; .*)?\n$/],
    [iod, /^rankio run: .*127\.0\.0\.1:\d+ is an iod, not the manager\n$/],
  ] as const) {
    for (const args of [['--manager', url], []]) {
      const env = args.length === 0 ? { RANKIO_MANAGER: url } : {}
      const end = await runCommand(['run', '-n', '2', ...args, 'echo', 'started'], { env })
      assert.match(end.stderr, line)
      const isTold = /RANKIO_MANAGER/.test(end.stderr)
      assert.is(isTold, args.length === 0 && url !== iod)
      assert.equal([end.stdout.toString(), end.code], ['', 1])
    }
  }
})

test('lines stay whole, whatever the ranks print at the same moment', async () => {
  await using manager = await loneManager()
  await using folder = await temporaryFolder()
  const program = folder.at('program.mjs')
  await writeFile(
    program,
    'const letter = "abcd"[process.env.RANKIO_RANK]\nfor (let i = 0; i < 2000; i++) process.stdout.write(letter.repeat(99) + "\\n")\nprocess.stdout.write("last")\n',
  )
  const end = await runCommand(['run', '-n', '4', ...manager.args, program])
  const lines = end.stdout.toString().split('\n')
  assert.is(lines.pop(), '')
  assert.is(lines.length, 4 * 2001)
  const isWhole = (line: string): boolean =>
    /^(\[0\] a{99}|\[1\] b{99}|\[2\] c{99}|\[3\] d{99}|\[[0-3]\] last)$/.test(line)
  assert.ok(lines.every(isWhole))
})

test('without prefixes the output is as it was, and both streams are kept apart', async () => {
  await using manager = await loneManager()
  const shell = 'printf "a\\nb"; printf "e" >&2'
  const end = await runCommand([
    'run',
    '-n',
    '1',
    '--no-prefix',
    ...manager.args,
    'sh',
    '-c',
    shell,
  ])
  assert.is(end.stdout.toString(), 'a\nb')
  assert.is(end.stderr, 'e')
})

test('standard input goes to rank 0', async () => {
  await using manager = await loneManager()
  const input = Buffer.from('question\n')
  const end = await runCommand(['run', '-n', '2', ...manager.args, 'cat'], { input })
  assert.is(end.stdout.toString(), '[0] question\n')
  assert.is(end.code, 0)
})

test('when a rank fails the others are ended, and its exit code is the job’s', async () => {
  await using manager = await loneManager()
  const shell = 'echo $$; if [ $RANKIO_RANK = 2 ]; then exit 3; fi; exec sleep 600'
  const end = await runCommand(['run', '-n', '3', ...manager.args, 'sh', '-c', shell])
  assert.is(end.stderr, 'rankio run: rank 2 ended with exit code 3; the others are ended\n')
  assert.is(end.code, 3)
  assert.not.ok(pidsIn(end.stdout.toString()).some(isRunning))
})

test('a rank that a signal ends counts as in a shell', async () => {
  await using manager = await loneManager()
  const end = await runCommand(['run', '-n', '1', ...manager.args, 'sh', '-c', 'kill -SEGV $$'])
  assert.is(end.stderr, 'rankio run: rank 0 was ended by SIGSEGV\n')
  assert.is(end.code, 139)
})

test('a program that cannot be executed is a wrong use, whatever its name, and is said before anything is started', async () => {
  await using folder = await temporaryFolder()
  await writeFile(folder.at('data'), '')
  await mkdir(folder.at('folder'))
  const env = { PATH: `${folder.path}:${process.env['PATH']}`, TMPDIR: folder.path }
  for (const [program, why] of [
    ['no-such-program', 'it does not exist'],
    ['./no-such-program', 'it does not exist'],
    ['no-such-program.js', 'it does not exist'],
    ['data', 'it may not be executed (EACCES)'],
    ['folder', 'it may not be executed (EACCES)'],
    [folder.at('data'), 'it may not be executed (EACCES)'],
  ] as const) {
    const end = await runCommand(['run', '-n', '3', program], { env })
    assert.is(end.stderr, `rankio run: program ${JSON.stringify(program)}: ${why}\n`)
    assert.is(end.code, 2)
  }
  assert.equal(readdirSync(folder.path).toSorted(), ['data', 'folder'])
})

test('a program without its interpreter is said in one line', async () => {
  await using manager = await loneManager()
  await using folder = await temporaryFolder()
  await writeFile(folder.at('script'), '#!/no/such/interpreter\n', { mode: 0o755 })
  const end = await runCommand(['run', '-n', '1', ...manager.args, folder.at('script')])
  assert.match(
    end.stderr,
    /^rankio run: program ".*script": it does not exist, or what it names .*\n$/,
  )
  assert.is(end.code, 1)
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} ends the ranks, what they have started, and the cluster`, async () => {
    const shell = 'echo $$; sleep 600 & echo $!; wait'
    const command = startCommand([
      'run',
      '-n',
      '2',
      '--iods',
      '1',
      '--no-prefix',
      'sh',
      '-c',
      shell,
    ])
    const pids = await until(() => {
      const found = pidsIn(command.stdout())
      return found.length === 4 && found
    })
    assert.ok(pids.every(isRunning))
    command.process.kill(signal)
    const end = await command.ended
    assert.is(end.stderr, '')
    assert.is(end.code, code)
    assert.not.ok(pids.some(isRunning))
    assert.equal(leftClusters(), [])
  })
}

test('ranks that are ended in the middle of a job leave no socket behind', async () => {
  await using folder = await temporaryFolder()
  const lib = new URL('../../lib/index.js', import.meta.url).href
  const program = `import { initialize } from '${lib}'
const world = await initialize()
console.log('met')
setInterval(() => world.rank, 1000)`
  writeFileSync(folder.at('rank.mjs'), program)
  const command = startCommand(['run', '-n', '2', '--iods', '1', folder.at('rank.mjs')])
  await until(() => command.stdout().match(/met/g)?.length === 2)
  command.process.kill('SIGINT')
  assert.is((await command.ended).code, 130)
  assert.equal(
    readdirSync(tmpdir()).filter((name) => name.startsWith('rankio')),
    [],
  )
})

test('a server of the cluster of the job that dies is started again, and the job goes on', async () => {
  await using folder = await temporaryFolder()
  const lib = new URL('../../lib/index.js', import.meta.url).href
  const program = `import assert from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import { File, initialize, Mode } from '${lib}'
const world = await initialize()
const file = await File.open(world, '/f', Mode.CREATE | Mode.RDWR)
const mine = new Uint8Array(300_000).fill(world.rank + 1)
await file.writeAtAll(world.rank * mine.length, mine)
for (const words of [['iod', '--index 0'], ['manager', 'manager']]) {
  if (world.rank === 0) {
    const pid = readFileSync(\`/proc/\${process.ppid}/task/\${process.ppid}/children\`, 'utf8').trim().split(' ').find((pid) => {
      const line = readFileSync(\`/proc/\${pid}/cmdline\`, 'utf8').replaceAll('\\0', ' ')
      return line.includes(\`main.js \${words[0]} \`) && line.includes(words[1])
    })
    process.kill(Number(pid), 'SIGKILL')
  }
  await world.barrier()
  await file.sync()
  const found = new Uint8Array(mine.length)
  await file.readAtAll(world.rank * mine.length, found)
  assert.deepEqual(found, mine)
}
await file.close()
await world.free()`
  writeFileSync(folder.at('rank.mjs'), program)
  const end = await runCommand(['run', '-n', '2', '--iods', '2', folder.at('rank.mjs')])
  assert.equal(end.stderr.trim().split('\n'), [
    'rankio run: iod 0 has ended by SIGKILL; it is started again',
    'rankio run: manager has ended by SIGKILL; it is started again',
  ])
  assert.is(end.code, 0)
  assert.equal(leftClusters(), [])
})

test('when the command itself is killed its ranks end, what they have started, the cluster and the sockets', async () => {
  await using folder = await temporaryFolder()
  const lib = new URL('../../lib/index.js', import.meta.url).href
  const program = `import { spawn } from 'node:child_process'
import { initialize } from '${lib}'
const world = await initialize()
const child = spawn('sleep', ['600'], { stdio: 'ignore' })
console.log('pids', process.pid, child.pid)
setInterval(() => world.rank, 1000)`
  writeFileSync(folder.at('rank.mjs'), program)
  const command = startCommand(['run', '-n', '2', '--iods', '1', folder.at('rank.mjs')])
  const pids = await until(() => {
    const found = [...command.stdout().matchAll(/pids (\d+) (\d+)/g)]
    return found.length === 2 && found.flatMap(([, rank, child]) => [Number(rank), Number(child)])
  })
  assert.ok(pids.every(isRunning))
  command.process.kill('SIGKILL')
  await until(() => !pids.some(isRunning))
  await until(() => readdirSync(tmpdir()).every((name) => !name.startsWith('rankio')))
})

test('a job that is interrupted while it is being started starts no more ranks', async () => {
  await using manager = await loneManager()
  await using folder = await temporaryFolder()
  const program = ['sh', '-c', `echo $RANKIO_RANK >> ${folder.at('ranks')}; exec sleep 600`]
  const command = startCommand(['run', '-n', '1024', ...manager.args, ...program])
  const started = (): number =>
    existsSync(folder.at('ranks')) ? readFileSync(folder.at('ranks'), 'utf8').split('\n').length : 0
  await until(() => started() > 0)
  command.process.kill('SIGINT')
  assert.is((await command.ended).code, 130)
  // All of them take seconds; told of after them the signal would find nearly all at work.
  assert.ok(started() < 512, `${started()} were started`)
})

test('when nobody reads any more the ranks are ended', async () => {
  await using manager = await loneManager()
  const shell = 'echo $$ >&2; while echo y; do :; done; sleep 600'
  const command = startCommand(['run', '-n', '2', ...manager.args, 'sh', '-c', shell])
  await until(() => pidsIn(command.stderr()).length === 2)
  command.process.stdout.destroy()
  const end = await command.ended
  assert.is(end.code, 141)
  assert.not.ok(pidsIn(end.stderr).some(isRunning))
})

test('a rank that does not listen to SIGTERM is killed', async () => {
  await using manager = await loneManager()
  const shell =
    'trap "" TERM; echo $$; if [ $RANKIO_RANK = 1 ]; then exit 1; fi; while :; do sleep 1; done'
  const end = await runCommand(['run', '-n', '2', ...manager.args, 'sh', '-c', shell])
  assert.is(end.code, 1)
  assert.not.ok(pidsIn(end.stdout.toString()).some(isRunning))
})

test.run()

interface LoneManager extends AsyncDisposable {
  readonly url: string
  /** What tells the command of it. */
  readonly args: readonly string[]
}

function pidsIn(text: string): number[] {
  return [...text.matchAll(/\b(\d+)$/gm)].map(([, pid]) => Number(pid))
}

async function statusOf(url: string): Promise<FileSystemStatus> {
  await using fileSystem = await FileSystem.connect(url)
  return await fileSystem.status()
}

/** A manager that answers, for jobs that need nothing else: its iod does not exist. */
async function loneManager(): Promise<LoneManager> {
  const folder = await temporaryFolder()
  await writeFile(folder.at('iodtab'), '127.0.0.1:1\n')
  const place = { directory: folder.at('manager'), iodtab: folder.at('iodtab'), port: 0 }
  const server = await startManager({ ...place, log: silentLog })
  const url = `rankio://127.0.0.1:${server.port}`
  const close = async (): Promise<void> => {
    await server.close()
    await folder[Symbol.asyncDispose]()
  }
  return { url, args: ['--manager', url], [Symbol.asyncDispose]: close }
}

function leftClusters(): string[] {
  return readdirSync(tmpdir()).filter((name) => /^rankio-\w{8}-\d+-\w{6}$/.test(name))
}
