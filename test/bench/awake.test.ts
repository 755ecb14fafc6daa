import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stayAwake } from '../../bench/support/awake.js'
import { Folder } from '../../bench/support/folder.js'

const test = suite('awake')

test('processors are kept awake by 0 microseconds, written as 32 bits', () => {
  using folder = new Folder('awake')
  const file = join(folder.path, 'latency')
  writeFileSync(file, 'before')
  using awake = stayAwake(file)
  assert.is(awake.held, true)
  assert.equal([...readFileSync(file)], [0, 0, 0, 0, ...Buffer.from('re')])
})

test('where the kernel cannot be asked, the head says that processors may sleep, and why', () => {
  using folder = new Folder('awake')
  using awake = stayAwake(join(folder.path, 'none'))
  assert.is(awake.held, false)
  assert.match(awake.words, /^may sleep \(.*none: ENOENT\)$/)
})

test.run()
