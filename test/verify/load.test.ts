// The parts of the runs under load that judge: each sees what it is there for.
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync, appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { CELL_BYTES } from './load/cells.js'
import {
  descriptorsOf,
  grownDescriptors,
  isLevel,
  median,
  residentBytes,
} from './load/descriptors.js'
import type { Event } from './load/history.js'
import type { RankEnd } from './load/job.js'
import { applicationErrors } from './load/judge.js'
import { EventLog, eventsIn, moment } from './load/log.js'
import { type Report, toldOf } from './load/messages.js'
import { unacknowledgedBytes } from './load/unacknowledged.js'

const test = suite('load')

const DONE: Report = {
  kind: 'done',
  counts: { reconnects: 0, resends: 0, resentBytes: 0 },
  descriptors: [20, 20],
}

test('ranks that all end in order are right, and one that does not is told', () => {
  assert.equal(applicationErrors(undefined, [ended(0, [DONE]), ended(1, [DONE])]), [])
  const failed = failure(new IoError('MPI_ERR_IO', 'a disk'))
  for (const bad of [
    ended(1, [failed]),
    ended(1, []),
    ended(1, [DONE], 1),
    { ...ended(1, [{ kind: 'ready' }]), code: null, signal: 'SIGKILL' as const },
  ])
    assert.is(applicationErrors(undefined, [ended(0, [DONE]), bad]).length, 1)
})

test('a rank that ends with more descriptors than it began with is told', () => {
  const grown = ended(0, [{ ...DONE, descriptors: [20, 26] }])
  assert.match(applicationErrors(undefined, [grown])[0] ?? '', '20 descriptors')
})

test('where a rank was killed each other must have an error that names it, and no other', () => {
  const named = failure(errorOf('RANK_DIED', 'rank 2 died', { rank: 2 }))
  const led = failure(
    new IoError('MPI_ERR_IO', 'the close', {
      cause: errorOf('RANK_DIED', 'rank 2 died', { rank: 2 }),
    }),
  )
  const left: Report = { kind: 'left', errors: [] }
  assert.equal(applicationErrors(2, [ended(0, [named, left]), ended(1, [led]), dead(2)]), [])
  const wrong: RankEnd[] = [
    ended(0, [failure(errorOf('RANK_DIED', 'rank 3 died', { rank: 3 })), left]),
    ended(0, [named, { kind: 'left', errors: [toldOf(new Error('something else'))] }]),
    ended(0, [{ kind: 'ready' }]),
    ended(0, [named, left], 1),
  ]
  for (const bad of wrong) assert.is(applicationErrors(2, [bad, dead(2)]).length, 1)
})

test('of a log that a death has cut off every whole line counts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(folder, '0.log')
  try {
    const began = moment()
    const event: Event = { kind: 'acknowledged', write: 7, at: began }
    {
      using log = new EventLog(path)
      log.add(event)
    }
    appendFileSync(path, '{"kind":"ackn')
    assert.equal(eventsIn(path), [event])
    assert.ok(moment() >= began)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a descriptor that is left open is seen, by what it leads to', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fd-'))
  const path = join(folder, 'leak')
  try {
    writeFileSync(path, '')
    const before = descriptorsOf('self')
    const file = openSync(path, 'r')
    assert.ok(grownDescriptors(before, descriptorsOf('self')).includes(path))
    closeSync(file)
    assert.not(grownDescriptors(before, descriptorsOf('self')).includes(path))
    assert.equal(grownDescriptors(['socket', 'pipe'], ['socket', 'socket']), ['socket'])
    assert.ok((residentBytes(process.pid) ?? 0) > 2 ** 20)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('memory that grows is told from memory that wavers', () => {
  const mib = 2 ** 20
  assert.ok(isLevel([100, 120, 90, 110, 95, 130, 105, 120, 100].map((each) => each * mib)))
  assert.not(isLevel([100, 110, 120, 130, 140, 150, 160, 170, 180].map((each) => each * mib)))
  assert.not(isLevel([]))
  assert.is(median([3, 1, 2]), 2)
})

test('unacknowledged are writes under way to the iod that died, and no others', () => {
  const write = (number: number, file: number, at: number): Event => ({
    kind: 'write',
    write: number,
    file,
    cell: 0,
    cells: 2,
    at,
  })
  const events: Event[] = [
    write(1, 0, 10),
    { kind: 'acknowledged', write: 1, at: 20 },
    write(2, 0, 21),
    { kind: 'acknowledged', write: 2, at: 30 },
    write(3, 1, 21),
    write(4, 0, 26),
    write(5, 4, 24),
  ]
  const bytes = unacknowledgedBytes(events, [{ iod: 0, at: 25 }], (file) => file % 4)
  assert.is(bytes, 2 * 2 * CELL_BYTES)
})

test.run()

function ended(rank: number, reports: readonly Report[], code = 0): RankEnd {
  return { rank, reports, code, signal: null, tail: '' }
}

function dead(rank: number): RankEnd {
  return { ...ended(rank, [{ kind: 'ready' }]), code: null, signal: 'SIGKILL' }
}

function failure(error: Error): Report {
  return { kind: 'failed', error: toldOf(error) }
}
