// One number for a whole open table, so that manager and iod can compare theirs in one short message.

import { crc32 } from '../../lib/base/checksum-node.js'
import type { OpenRecord } from '../../lib/protocol/records.js'

/** Of which opens there are, whatever their order: handles and capabilities, not their states. */
export function checksumOfOpens(
  records: readonly Pick<OpenRecord, 'handle' | 'capability'>[],
): number {
  const lines = records.map(({ handle, capability }) => `${handle} ${capability}\n`).sort()
  return crc32(new TextEncoder().encode(lines.join('')))
}
