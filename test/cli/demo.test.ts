import { readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../support/assertions.js'
import { runCommand, startCommand, temporaryFolder } from '../support/command.js'
import { processesOf } from '../support/processes.js'

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

test.run()
