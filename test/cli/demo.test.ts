import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { deadline, until } from '../support/assertions.js'
import { runCommand, startCommand, temporaryFolder } from '../support/command.js'
import { kill, processesOf } from '../support/processes.js'

/** What all processes of one demo have in their environment. */
const NAME = 'RANKIO_DEMO_TEST'
const MARK = `${NAME}=killed`

/** They are in groups of their own: by this number none is found. */
const NO_GROUP = -1

const test = suite('rankio demo')

test('a small input, and none at all, are written, survive a killed iod, and are checked', async () => {
  await using folder = await temporaryFolder()
  for (const bytes of [0, 1, 300_000]) {
    writeFileSync(folder.at('input'), Buffer.alloc(bytes, 'rankio'))
    const sizes = ['--ranks', '3', '--iods', '2', '--strip', '4KiB']
    const end = await runCommand(['demo', '--input', folder.at('input'), ...sizes])
    assert.is(end.stderr, '')
    assert.is(end.code, 0)
    const said = end.stdout.toString()
    assert.match(said, /every byte is right/)
    assert.match(said, /^reopens +0$/m)
    assert.match(said, /^restarts +1$/m)
  }
})

test('an input that is missing or no file is said in one line', async () => {
  for (const input of ['none', tmpdir()]) {
    const end = await runCommand(['demo', '--input', input])
    assert.match(end.stderr, /^rankio demo: .*\n$/)
    assert.is(end.stderr.split('\n').length, 2)
    assert.is(end.code, 1)
  }
})

test('when it is killed itself no process, no file and no socket are left', async () => {
  const command = startCommand(['demo', '--ranks', '3', '--iods', '2'], {
    env: { [NAME]: 'killed' },
  })
  await until(() => /write, 3 ranks/.test(command.stdout()))
  assert.ok(processesOf(NO_GROUP, MARK).length >= 7)
  command.process.kill('SIGKILL')
  await until(() => processesOf(NO_GROUP, MARK).length === 0)
  await until(() => readdirSync(tmpdir()).every((name) => !name.startsWith('rankio')))
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} in the middle leaves no process, no file and no socket`, async () => {
    const command = startCommand(['demo', '--ranks', '3', '--iods', '2'])
    await until(() => /write, 3 ranks/.test(command.stdout() + command.stderr()))
    command.process.kill(signal)
    const end = await command.ended
    assert.is(end.stderr, '')
    assert.is(end.code, code)
    assert.equal(
      readdirSync(tmpdir()).filter((name) => name.startsWith('rankio')),
      [],
    )
  })
}

test('interrupted while it asks a manager that is gone which iod to kill, it does not wait for that manager', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('staged.cjs'), staged(folder.path))
  const mark = `${NAME}=staged`
  const command = startCommand(['demo', '--ranks', '2', '--iods', '1'], {
    env: { [NAME]: 'staged', NODE_OPTIONS: `--require=${folder.at('staged.cjs')}` },
  })
  await until(() => existsSync(folder.at('half')))
  const servers = processesOf(NO_GROUP, mark)
  const manager = servers.find(({ command: line }) => line.includes('main.js manager '))
  kill(manager?.pid ?? 0)
  await until(() => processesOf(NO_GROUP, mark).every(({ pid }) => pid !== manager?.pid))
  writeFileSync(folder.at('go on'), '')
  await until(() => existsSync(folder.at('dialled')))
  command.process.kill('SIGTERM')
  // Half as long as a client waits that is not told to be impatient.
  const end = await deadline('the demo', TIMING.operationMs / 2, command.ended)
  assert.equal([end.code, end.stderr], [143, ''])
  await until(() => processesOf(NO_GROUP, mark).length === 0)
})

test.run()

// What is loaded before every process of a demo: rank 0 tells that half is over only when the test says so, and the
// demo leaves a sign when it begins to connect to a manager.
function staged(folder: string): string {
  return `
    const { existsSync, writeFileSync } = require('node:fs')
    const { Socket } = require('node:net')
    process.chdir(${JSON.stringify(folder)})
    const { send, env, argv } = process
    if (env.RANKIO_RANK === '0') {
      process.send = (message) => {
        if (message.kind !== 'half') return send.call(process, message)
        writeFileSync('half', '')
        const look = setInterval(() => {
          if (!existsSync('go on')) return
          clearInterval(look)
          send.call(process, message)
        }, 10)
      }
    }
    if (argv.includes('demo')) {
      const { connect } = Socket.prototype
      Socket.prototype.connect = function (...given) {
        if (existsSync('go on')) writeFileSync('dialled', '')
        return connect.apply(this, given)
      }
    }
  `
}
