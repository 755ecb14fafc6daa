import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startOf } from '../../servers/cluster/identity.js'

const test = suite('identity of processes')

test('a process that is alive has a start, the same each time, and one that has ended has none', () => {
  const start = startOf(process.pid)
  assert.type(start, 'string')
  assert.is(startOf(process.pid), start)
  assert.is(startOf(spawnSync(process.execPath, ['-e', '']).pid), undefined)
})

test('a process that cannot be looked at is not taken for one that has ended', () => {
  if (process.platform !== 'linux') return
  const original = fs.readFileSync
  for (const code of ['EACCES', 'EMFILE']) {
    fs.readFileSync = () => {
      throw Object.assign(new Error(code), { code })
    }
    syncBuiltinESMExports()
    try {
      assert.throws(() => startOf(process.pid), code)
    } finally {
      fs.readFileSync = original
      syncBuiltinESMExports()
    }
  }
})

test.run()
