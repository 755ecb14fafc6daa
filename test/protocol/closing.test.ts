import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError, REASONS, type Reason } from '../../lib/base/errors.js'
import { CLOSE, closeCodeOf, closeReason } from '../../lib/protocol/closing.js'
import { property } from '../support/random.js'

const test = suite('closing')

test('damage and breaches have codes of their own, all else is a mistake of this side', () => {
  assert.is(closeCodeOf(errorOf('WIRE_CHECKSUM', 'x')), CLOSE.DAMAGED)
  assert.is(closeCodeOf(errorOf('PROTOCOL', 'x')), CLOSE.PROTOCOL)
  for (const reason of Object.keys(REASONS) as Reason[]) {
    if (reason !== 'WIRE_CHECKSUM' && reason !== 'PROTOCOL')
      assert.is(closeCodeOf(errorOf(reason, 'x')), CLOSE.INTERNAL)
  }
  for (const error of [new IoError('MPI_ERR_ARG', 'x'), new TypeError('x'), undefined])
    assert.is(closeCodeOf(error), CLOSE.INTERNAL)
})

test('codes are different, and those that are sent may be sent', () => {
  const codes = Object.values(CLOSE)
  assert.is(new Set<number>(codes).size, codes.length)
  for (const code of codes) {
    if (code === CLOSE.ABNORMAL) continue
    assert.ok(
      (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) ||
        (code >= 4000 && code < 5000),
    )
  }
})

property(test, 'a reason always fits, and begins as it was', 200, (random) => {
  const text = Array.from({ length: random.int(0, 200) }, () =>
    random.pick(['a', 'ü', '日', '😀']),
  ).join('')
  const reason = closeReason(text)
  const bytes = new TextEncoder().encode(reason)
  assert.ok(bytes.length <= 123)
  assert.is(new TextDecoder('utf-8', { fatal: true }).decode(bytes), reason)
  if (reason !== text)
    assert.ok(text.startsWith(reason.slice(0, -1)) && reason.endsWith('…') && bytes.length > 115)
})

test.run()
