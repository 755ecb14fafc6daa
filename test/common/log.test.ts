import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { lineLog, silentLog } from '../../servers/common/log.js'
import { VirtualClock } from '../sim/clock.js'

const test = suite('log')

test('an event is one line with time, level, server and fields', () => {
  const lines: string[] = []
  const log = lineLog('iod 3', new VirtualClock(), (line) => lines.push(line))
  log.info('started', { port: 7304, fresh: true })
  log.warn('slow')
  log.error('broken', { why: 'EIO' })
  assert.equal(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      {
        time: '2001-09-09T01:46:40.000Z',
        level: 'info',
        server: 'iod 3',
        event: 'started',
        port: 7304,
        fresh: true,
      },
      { time: '2001-09-09T01:46:40.000Z', level: 'warn', server: 'iod 3', event: 'slow' },
      {
        time: '2001-09-09T01:46:40.000Z',
        level: 'error',
        server: 'iod 3',
        event: 'broken',
        why: 'EIO',
      },
    ],
  )
})

test('no name can forge a line', () => {
  const lines: string[] = []
  const log = lineLog('manager', new VirtualClock(), (line) => lines.push(line))
  const name = 'a\n{"level":"error"}\r\u001b[31m\u0000'
  log.info('created', { name })
  assert.is(lines.length, 1)
  assert.is(lines[0]?.indexOf('\n'), (lines[0]?.length ?? 0) - 1)
  const text = lines[0]?.slice(0, -1) ?? ''
  assert.ok(Array.from(text).every((character) => character >= ' '))
  assert.is((JSON.parse(lines[0] ?? '') as { name: string }).name, name)
})

test('a field cannot pass itself off as the time or the server', () => {
  const lines: string[] = []
  lineLog('manager', new VirtualClock(), (line) => lines.push(line)).info('x', {
    server: 'iod 1',
    level: 'error',
  })
  const { server, level } = JSON.parse(lines[0] ?? '') as { server: string; level: string }
  assert.equal([server, level], ['manager', 'info'])
})

test('the silent log takes everything', () => {
  silentLog.info('x')
  silentLog.warn('x', {})
  silentLog.error('x', { a: 1 })
})

test.run()
