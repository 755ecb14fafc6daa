// A server that was started and is known by its process alone: what is said of it where nobody may look at that.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stopDetached } from '../../servers/cluster/detached.js'
import { startOf } from '../../servers/cluster/identity.js'
import {
  type DetachedServer,
  isAlive,
  lifeOf,
  readState,
  writeState,
} from '../../servers/cluster/state.js'
import { rejects } from '../support/assertions.js'
import { temporaryFolder } from '../support/command.js'

const test = suite('cluster state')

/** Of no process: Linux gives no such number. */
const NO_PID = 2 ** 30

test('a process that nobody may look at is there or gone, and not taken for another one', () => {
  if (process.platform !== 'linux') return
  const own = serverOf(process.pid, startOf(process.pid))
  assert.is(lifeOf(own), 'alive')
  assert.is(lifeOf(serverOf(process.pid, 'another start')), 'gone')
  assert.is(lifeOf(serverOf(NO_PID, 'x')), 'gone')
  // Written down by who could not look at it.
  assert.is(lifeOf(serverOf(process.pid, '')), 'unknown')
  for (const code of ['EACCES', 'EPERM', 'EMFILE']) {
    using _ = refusedProc(code)
    assert.equal([lifeOf(own), isAlive(own)], ['unknown', true])
    assert.equal([lifeOf(serverOf(NO_PID, 'x')), isAlive(serverOf(NO_PID, 'x'))], ['gone', false])
  }
})

test('a process that nobody may look at is not ended, in one sentence, and stays written down', async () => {
  if (process.platform !== 'linux') return
  await using folder = await temporaryFolder()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  try {
    const pid = child.pid ?? 0
    const servers = [serverOf(NO_PID, 'x'), serverOf(pid, startOf(pid))]
    writeState(folder.path, { url: 'rankio://127.0.0.1:1', sockets: '', servers })
    {
      using _ = refusedProc('EACCES')
      const error = await rejects(stopDetached(folder.path), 'MPI_ERR_ACCESS')
      const why = 'the operating system does not tell whether it is still this server'
      assert.is(error.message, `server: process ${pid} is not ended: ${why}`)
      assert.is(child.signalCode, null)
    }
    assert.equal(readState(folder.path)?.servers, servers)
    assert.is(await stopDetached(folder.path), 1)
  } finally {
    child.kill('SIGKILL')
  }
})

function serverOf(pid: number, start = ''): DetachedServer {
  return { name: 'server', pid, start, address: '127.0.0.1:1', log: '/dev/null' }
}

/** As long as it lives nothing below `/proc` can be read. */
function refusedProc(code: string): Disposable {
  const original = fs.readFileSync
  const refusing = (path: unknown, ...rest: unknown[]): unknown => {
    if (String(path).startsWith('/proc/')) throw Object.assign(new Error(code), { code })
    return Reflect.apply(original, fs, [path, ...rest])
  }
  fs.readFileSync = refusing as typeof fs.readFileSync
  syncBuiltinESMExports()
  return {
    [Symbol.dispose]: () => {
      fs.readFileSync = original
      syncBuiltinESMExports()
    },
  }
}

test.run()
