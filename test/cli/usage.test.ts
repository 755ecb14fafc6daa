import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { COMMAND, runCommand, startCommand } from '../support/command.js'
import { manifestField, ROOT } from '../support/repository.js'

/** What is wrong, and the one line that answers it. */
const WRONG: readonly (readonly [args: string, line: string])[] = [
  ['', "rankio: a command is missing; see 'rankio --help'"],
  ['lss', "rankio: unknown command 'lss'; see 'rankio --help'"],
  ['--verbose', "rankio: unknown option '--verbose'; see 'rankio --help'"],
  ['cluster', "rankio cluster: a command is missing; see 'rankio cluster --help'"],
  ['cluster begin', "rankio cluster: unknown command 'begin'; see 'rankio cluster --help'"],
  ['ls --recursive', "rankio ls: unknown option '--recursive'"],
  ['ls /a /b', "rankio ls: too many arguments for 'ls'. Expected 1 argument but got 2."],
  ['status /a', "rankio status: too many arguments for 'status'. Expected 0 arguments but got 1."],
  ['fsck --fix', "rankio fsck: unknown option '--fix'"],
  ['stat', "rankio stat: missing required argument 'path'"],
  ['rm', "rankio rm: missing required argument 'path'"],
  ['mv /a', "rankio mv: missing required argument 'to'"],
  ['cp a', "rankio cp: missing required argument 'target'"],
  ['cp a b', 'rankio cp: neither a nor b is on a manager; write rankio:/path'],
  ['cp - -', 'rankio cp: neither - nor - is on a manager; write rankio:/path'],
  [
    'mv rankio://a/x rankio://b/x',
    'rankio mv: rankio://a/x and rankio://b/x are on different managers; use cp and rm',
  ],
  [
    'cp --strip 5000 a rankio:/b',
    bad('--strip <size>', '5000', 'A strip is a power of two from 4KiB to 64MiB.'),
  ],
  [
    'cp --strip 2KiB a rankio:/b',
    bad('--strip <size>', '2KiB', 'A strip is a power of two from 4KiB to 64MiB.'),
  ],
  [
    'cp --strip 128MiB a rankio:/b',
    bad('--strip <size>', '128MiB', 'A strip is a power of two from 4KiB to 64MiB.'),
  ],
  [
    'cp --strip big a rankio:/b',
    bad('--strip <size>', 'big', 'It is not a size such as 4096, 64KiB or 1MiB.'),
  ],
  [
    'cp --iods 0 a rankio:/b',
    bad('--iods <number>', '0', 'It is not a whole number from 1 to 1024.'),
  ],
  [
    'cluster start --iods 0',
    bad('--iods <number>', '0', 'It is not a whole number from 1 to 1024.', 'cluster start'),
  ],
  [
    'cluster start --iods 1.5',
    bad('--iods <number>', '1.5', 'It is not a whole number from 1 to 1024.', 'cluster start'),
  ],
  [
    'cluster start --accept-data-loss all',
    bad(
      '--accept-data-loss <index>',
      'all',
      'It is not a whole number from 0 to 1023.',
      'cluster start',
    ),
  ],
  [
    'cluster start --port 99999',
    bad('--port <number>', '99999', 'It is not a whole number from 1 to 65535.', 'cluster start'),
  ],
  [
    'ls --manager node1:7300',
    bad(
      '--manager <url>',
      'node1:7300',
      'It is not of the form rankio://host:port or rankio+unix:/path.',
      'ls',
    ),
  ],
  ['ls --manager', "rankio ls: option '--manager <url>' argument missing"],
  ['run app.js', "rankio run: required option '-n, --ranks <number>' not specified"],
  ['run -n 4', "rankio run: missing required argument 'program'"],
  [
    'run -n 0 true',
    bad('-n, --ranks <number>', '0', 'It is not a whole number from 1 to 1024.', 'run'),
  ],
  [
    'run -n 1 --iods 2 --manager rankio://a true',
    'rankio run: of --manager and --iods only one can be given',
  ],
  ['run -n 1 none.js', 'rankio run: program "none.js": it does not exist'],
  ['run -n 1 /dev', 'rankio run: program "/dev": it is a directory'],
  ['run -n 1 app.ts', 'rankio run: program "app.ts": Node cannot run TypeScript; build it first'],
  ['manager --data d', "rankio manager: required option '--iodtab <file>' not specified"],
  ['iod --data d --index 0', "rankio iod: required option '--manager <url>' not specified"],
  [
    'iod --data d --manager rankio://a --index -1',
    bad('--index <number>', '-1', 'It is not a whole number from 0 to 1023.', 'iod'),
  ],
]

const NO_SCHEME =
  'there is no scheme foo://; a path on a manager is written rankio:/path or rankio://host:port/path'

/** An operation that fails, and the one line that says so. */
const FAILED: readonly (readonly [args: string, line: string])[] = [
  [
    'manager --data d --iodtab none/iodtab',
    'rankio manager: iodtab ROOT/none/iodtab: it cannot be read (ENOENT)',
  ],
  ['cluster status --dir none', 'rankio cluster status: ROOT/none: no cluster runs there'],
  [
    `cluster start --dir ${process.execPath}`,
    `rankio cluster start: ${process.execPath}: it is no directory (ENOTDIR)`,
  ],
  ['cluster stop --dir none', 'rankio cluster stop: ROOT/none: no cluster runs there'],
  ['ls rankio:', 'rankio ls: "rankio:": not of the form rankio:/path or rankio://host:port/path'],
  ['ls foo://x/y', `rankio ls: "foo://x/y": ${NO_SCHEME}`],
  ['cp foo://x/y rankio:/f', `rankio cp: "foo://x/y": ${NO_SCHEME}`],
  ['cp rankio:/f foo://x/y', `rankio cp: "foo://x/y": ${NO_SCHEME}`],
]

const COMMANDS = [
  'run',
  'cluster',
  'demo',
  'status',
  'fsck',
  'cp',
  'ls',
  'stat',
  'rm',
  'mkdir',
  'rmdir',
  'mv',
  'manager',
  'iod',
]

const test = suite('rankio: use')

for (const [args, line] of WRONG) {
  test(`rankio ${args}: is answered in one line`, async () => {
    const end = await runCommand(words(args), { cwd: ROOT })
    assert.is(end.stderr, `${line}\n`)
    assert.is(end.stdout.length, 0)
    assert.is(end.code, 2)
  })
}

for (const [args, line] of FAILED) {
  test(`rankio ${args}: fails with one line`, async () => {
    const end = await runCommand(words(args), { cwd: ROOT })
    assert.is(end.stderr, `${line.replace('ROOT', ROOT)}\n`)
    assert.is(end.code, 1)
  })
}

// As a shell gives it that knows no such variable: the current directory, or all addresses of this host, were meant by nobody.
for (const [args, flags] of [
  ['cluster start', '--dir <dir>'],
  ['cluster status', '--dir <dir>'],
  ['cluster stop', '--dir <dir>'],
  ['manager', '--iodtab <file>'],
  ['manager', '--data <dir>'],
  ['manager', '--host <address>'],
  ['manager', '--unix <path>'],
  ['iod', '--data <dir>'],
  ['iod', '--host <address>'],
  ['iod', '--unix <path>'],
] as const)
  test(`rankio ${args} with an empty ${flags}: is answered in one line`, async () => {
    const [option = ''] = flags.split(' ')
    const end = await runCommand([...words(args), option, ''], { cwd: ROOT })
    assert.is(end.stderr, `${bad(flags, '', 'It is empty.', args)}\n`)
    assert.is(end.code, 2)
  })

test('a program without a name is answered in one line', async () => {
  const end = await runCommand(['run', '-n', '2', ''])
  assert.is(end.stderr, 'rankio run: program "": its name is empty\n')
  assert.is(end.code, 2)
})

test('a manager that is not there is said in one line, soon', async () => {
  const end = await runCommand(['ls', '--manager', 'rankio://127.0.0.1:1'])
  const line =
    /^rankio ls: manager: not reachable for \d+(\.\d)? s; 127\.0\.0\.1:1: connection refused\n$/
  assert.match(end.stderr, line)
  assert.is(end.code, 1)
})

test('an argument whose bytes are not UTF-8 is refused, not taken for another name', async () => {
  const { code, said } = await inShell(
    `exec "$NODE" "$COMMAND" stat "$(printf '/a\\377')" --manager rankio://127.0.0.1:1`,
  )
  const line = `rankio: argument "/a\uFFFD": its bytes are not UTF-8\n`
  assert.is(said, line)
  assert.is(code, 2)
})

test('when nobody reads what a command says it ends like any other, without a word', async () => {
  for (const args of ['--help', '--version', 'run --help', 'cluster start --help']) {
    const command = startCommand(words(args))
    command.process.stdout.destroy()
    const end = await command.ended
    assert.is(end.stderr, '', args)
    assert.is(end.code, 141, args)
  }
})

test('a full disk below the output is said in one line', async () => {
  if (!existsSync('/dev/full')) return
  const { code, said } = await inShell('exec "$NODE" "$COMMAND" --version > /dev/full')
  assert.is(said, 'rankio: standard output: it cannot be written (ENOSPC)\n')
  assert.is(code, 1)
})

test('a name that holds the replacement character itself is a name', async () => {
  const end = await runCommand(['ls', '--manager', '\uFFFD'])
  assert.match(end.stderr, /^rankio ls: option '--manager <url>' argument '\uFFFD' is invalid/)
})

test('a wrong RANKIO_MANAGER is said in one line that names it, whatever the command', async () => {
  const why = 'RANKIO_MANAGER "node1": not of the form rankio://host:port or rankio+unix:/path'
  for (const args of [['ls'], ['run', '-n', '1', 'true'], ['cp', 'rankio:/a', '-']]) {
    const end = await runCommand(args, { env: { RANKIO_MANAGER: 'node1' } })
    assert.equal([end.stderr, end.code], [`rankio ${args[0]}: ${why}\n`, 1])
  }
})

test('a manager of RANKIO_MANAGER that cannot be reached is said to be that, and another one is not', async () => {
  const url = 'rankio://127.0.0.1:1'
  const env = { RANKIO_MANAGER: url }
  const why = /^rankio ls: manager: not reachable for \d.* s; 127\.0\.0\.1:\d: connection refused/
  const [own, other] = await Promise.all([
    runCommand(['ls'], { env }),
    runCommand(['ls', '--manager', 'rankio://127.0.0.1:2'], { env }),
  ])
  assert.match(own.stderr, new RegExp(`${why.source}; its address is that of RANKIO_MANAGER\n$`))
  assert.match(other.stderr, new RegExp(`${why.source}\n$`))
})

test('every command has a help with an example', async () => {
  for (const name of COMMANDS.filter((one) => one !== 'cluster')) {
    const end = await runCommand([name, '--help'])
    assert.match(
      end.stdout.toString(),
      new RegExp(`^Usage: rankio ${name} [^]*\nExample:\n  \\$ rankio ${name} `),
    )
    assert.is(end.code, 0)
  }
})

test('the help names every command, and those of a group', async () => {
  const end = await runCommand(['--help'])
  for (const name of COMMANDS) assert.match(end.stdout.toString(), new RegExp(`^  ${name} `, 'm'))
  const group = await runCommand(['cluster', '--help'])
  for (const name of ['start', 'status', 'stop']) {
    assert.match(group.stdout.toString(), new RegExp(`^  ${name} `, 'm'))
  }
})

test('the version is that of the package, and the command can be executed', async () => {
  const end = await runCommand(['--version'])
  assert.is(end.stdout.toString(), `${String(manifestField('version'))}\n`)
  const source = readFileSync(join(ROOT, 'servers/cli/main.ts'), 'utf8')
  assert.ok(source.startsWith('#!/usr/bin/env node\n'))
})

test.run()

async function inShell(shell: string): Promise<{ readonly code: number; readonly said: string }> {
  const child = spawn('sh', ['-c', shell], {
    env: { ...process.env, NODE: process.execPath, COMMAND },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: Buffer[] = []
  child.stderr.on('data', (bytes: Buffer) => said.push(bytes))
  const [code] = (await once(child, 'close')) as [number]
  return { code, said: Buffer.concat(said).toString() }
}

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}

function bad(option: string, value: string, why: string, command = 'cp'): string {
  return `rankio ${command}: option '${option}' argument '${value}' is invalid. ${why}`
}
