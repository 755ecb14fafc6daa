// What every driver promises, by a driver that goes past the iods where it can.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DirectChoice } from '../../lib/driver/direct.js'
import { driverContract } from '../contract/driver.js'
import { SharedPlace } from './striped-place.js'

const LAYOUTS = [4096, 65_536].flatMap((stripSize) =>
  [1, 3].map((iodCount) => ({ stripSize, iodCount })),
)

/** Runs the contract for one choice. */
export function directContract(direct: DirectChoice): void {
  const test = suite(`StripedFile, direct ${direct}`)
  const shared = new SharedPlace(direct)

  driverContract(test, { layouts: LAYOUTS, sparse: true, place: () => shared.place() })

  test('the tests before have gone past the iods', async () => {
    const { reads, writes } = await shared.close()
    assert.ok(reads > 0)
    assert.is(writes > 0, direct === 'rw')
  })

  test.run()
}
