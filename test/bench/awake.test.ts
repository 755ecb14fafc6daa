import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stayAwake } from '../../bench/support/awake.js'
import { Folder } from '../../bench/support/folder.js'
import { ROOT } from '../support/repository.js'
import { runScript } from '../support/script.js'

const test = suite('awake')

test('processors are kept awake by 0 microseconds, written as 32 bits', () => {
  using folder = new Folder('awake')
  const file = join(folder.path, 'latency')
  writeFileSync(file, 'before')
  using awake = stayAwake(file)
  assert.is(awake.held, true)
  assert.equal([...readFileSync(file)], [0, 0, 0, 0, ...Buffer.from('re')])
})

// Elsewhere there is no such file either.
if (process.platform === 'linux')
  test('the file is held open until it is disposed of: the kernel forgets the wish of who closes it', () => {
    using folder = new Folder('awake')
    const file = join(folder.path, 'latency')
    writeFileSync(file, 'before')
    assert.is(isOpen(file), false)
    const awake = stayAwake(file)
    assert.is(isOpen(file), true)
    awake[Symbol.dispose]()
    assert.is(isOpen(file), false)
  })

test('a bench that is started with others says in its head whether processors are kept awake', async () => {
  const file = join(ROOT, 'dist/bench/main.js')
  const args = ['measures', '--smoke', '--row=links']
  const { code, output } = await runScript(file, { timeoutMs: 60_000, args })
  assert.is(code, 0, output)
  using awake = stayAwake()
  const [head = ''] = output.split('\n').filter((line) => line.startsWith('measures · '))
  assert.match(head, /, (?:kept awake|may sleep \(.*\))$/)
  assert.ok(head.endsWith(`, ${awake.words}`), `${head}: ${awake.words}`)
})

test('where the kernel cannot be asked, the head says that processors may sleep, and why', () => {
  using folder = new Folder('awake')
  using awake = stayAwake(join(folder.path, 'none'))
  assert.is(awake.held, false)
  assert.match(awake.words, /^may sleep \(.*none: ENOENT\)$/)
})

test.run()

function isOpen(file: string): boolean {
  return readdirSync('/proc/self/fd').some((descriptor) => {
    try {
      return readlinkSync(join('/proc/self/fd', descriptor)) === file
    } catch {
      // That of the folder of descriptors itself, which has been read to its end.
      return false
    }
  })
}
