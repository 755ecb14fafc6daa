import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  FAULT_POINTS,
  type FaultPoint,
  faults,
  PLANTED_BUGS,
  setFaults,
} from '../../lib/base/faults.js'
import { type FaultOrder, obeyFaultOrders } from '../../lib/base/faults-node.js'
import { nodeDisk } from '../../lib/base/runtime-node.js'
import { repositoryFiles, ROOT } from '../support/repository.js'

const test = suite('faults')

test('a process that was not started to fail has no faults', () => {
  assert.is(faults, undefined)
})

test('each point of the table is crossed in one place at least, and no other point is', () => {
  const product = repositoryFiles().filter((path) => /^(lib|servers)\/.*\.ts$/.test(path))
  const crossed = new Set(product.flatMap(pointsIn))
  assert.equal([...crossed].sort(), Object.keys(FAULT_POINTS).sort())
})

test('each mistake of the table can be made, and is looked for with one undefined check', () => {
  const product = repositoryFiles().filter((path) => /^(lib|servers)\/.*\.ts$/.test(path))
  const rest = product.filter((path) => path !== 'lib/base/faults.ts')
  const mentions = rest.flatMap((path) => linesWith(path, /\.planted\b/))
  const checks = mentions.flatMap((line) =>
    [...line.matchAll(/faults\?\.planted [!=]== '(\w+)'/g)].map(([, bug = '']) => bug),
  )
  assert.is(checks.length, mentions.length, 'a mistake is only ever compared with, never set')
  assert.equal([...new Set(checks)].sort(), Object.keys(PLANTED_BUGS).sort())
})

test('orders to a process plant no mistake', () => {
  using orders = new Orders()
  obeyFaultOrders(tmpdir(), 'orders', () => {})
  orders.give({ id: 1 })
  assert.is.not(faults, undefined)
  assert.is(faults?.planted, undefined)
})

test('a process dies at the crossing that its order names, counted from the order on', () => {
  using orders = new Orders()
  const died: number[] = []
  let crossings = 0
  obeyFaultOrders(tmpdir(), 'orders', () => died.push(crossings))
  const cross = (point: FaultPoint, op?: number): void => {
    crossings++
    faults?.reach(point, op)
  }
  cross('request.send', 7)
  orders.give({ id: 1, kill: { point: 'request.send', op: 7, crossing: 2 } })
  cross('request.send', 7)
  cross('request.send', 8)
  cross('answer.send', 7)
  assert.equal(died, [])
  cross('request.send', 7)
  assert.equal(died, [5])
  orders.give({ id: 2, kill: { point: 'request.send', op: 7, crossing: 1 } })
  cross('request.send', 7)
  assert.equal(died, [5, 6])
  orders.withdraw()
  cross('request.send', 7)
  assert.equal(died, [5, 6])
})

test('crossings are recorded in order, with the number of the order', () => {
  using orders = new Orders()
  obeyFaultOrders(tmpdir(), 'orders', () => assert.unreachable())
  orders.give({ id: 3, record: orders.record })
  faults?.reach('request.arrived', 20)
  const file = nodeDisk.open(join(tmpdir(), 'f'), 'create')
  file.write(Uint8Array.of(1), 0)
  file.close()
  rmSync(join(tmpdir(), 'f'))
  assert.equal(readFileSync(orders.record, 'utf8').trim().split('\n'), [
    '3 request.arrived 20',
    '3 disk.create -',
    '3 disk.created -',
    '3 disk.write -',
    '3 disk.written -',
  ])
})

class Orders implements Disposable {
  readonly path = join(tmpdir(), 'orders')
  readonly record = join(tmpdir(), 'crossings')

  give(order: FaultOrder): void {
    writeFileSync(this.path, JSON.stringify(order))
  }

  withdraw(): void {
    rmSync(this.path)
  }

  [Symbol.dispose](): void {
    setFaults(undefined)
    for (const path of [this.path, this.record]) if (existsSync(path)) rmSync(path)
  }
}

function linesWith(path: string, pattern: RegExp): string[] {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n')
  return lines.filter((line) => pattern.test(line))
}

function pointsIn(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/faults\?\.reach\('([\w.]+)'/g)].map(([, point = '']) => point)
}

test.run()
