// Requests to another host carry a checksum of their payload: they are short, and a few of them are on their way at a time.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DATA } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('driver/checked-requests')

const KIB = 1024
const MOST = LIMITS.checkedBytes

/** Requests of one iod that a driver has on their way to another host. */
const OUT = 4

test('to another host a request has 512 KiB at most, whatever the strips are', async () => {
  for (const stripSize of [64 * KIB, 4 * MOST])
    for (const [bytes, requests] of [
      [MOST, 1],
      [MOST + 1, 2],
      [2 * MOST, 2],
      [2 * MOST + 1, 3],
    ] as const) {
      await using place = await Place.open(stripSize)
      const said = `${bytes} bytes, strips of ${stripSize}`
      await place.moves(bytes)
      assert.equal(place.counted(), { write: requests, read: requests }, said)
    }
})

test('on one host a request is as large as the wire allows', async () => {
  await using place = await Place.open(64 * KIB, 0)
  await place.moves(2 * MOST + 1)
  assert.equal(place.counted(), { write: 1, read: 1 })
})

test('of an access of any size four requests to an iod are on their way, and no more', async () => {
  for (const requests of [OUT, OUT + 1, 3 * OUT]) {
    await using place = await Place.open(64 * KIB)
    await place.moves(requests * MOST)
    assert.equal(place.counted(), { write: requests, read: requests })
    assert.is(place.mostOut, OUT)
  }
})

test.run()

class Place implements AsyncDisposable {
  readonly #world: World
  readonly #open: SimOpen
  readonly #requests: Record<number, number> = {}
  #out = 0
  mostOut = 0

  private constructor(world: World, open: SimOpen) {
    this.#world = world
    this.#open = open
  }

  /** A file of one iod, open by a client on another host, or beside an iod. */
  static async open(stripSize: number, beside?: number): Promise<Place> {
    const world = await World.start({})
    const client = world.client(undefined, beside)
    const open = await world.run(world.open(client, '/f', { iodCount: 1, firstIod: 0, stripSize }))
    // A connection stands: before that nobody knows where the iod is.
    await world.run(writeAt(open, 0, pattern(1)))
    const place = new Place(world, open)
    world.frames(({ request }, op) => {
      if (op === DATA.write || op === DATA.read) place.#count(op, request)
      return undefined
    })
    return place
  }

  /** Writes so many bytes, and reads them again. */
  async moves(bytes: number): Promise<void> {
    const written = pattern(bytes)
    await this.#world.run(writeAt(this.#open, 0, written))
    const read = await this.#world.run(readAt(this.#open, 0, bytes))
    assert.is(Buffer.compare(read, written), 0)
  }

  counted(): { readonly write: number; readonly read: number } {
    return { write: this.#requests[DATA.write] ?? 0, read: this.#requests[DATA.read] ?? 0 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#world.heal()
    await this.#world[Symbol.asyncDispose]()
  }

  #count(op: number, isRequest: boolean): void {
    this.#out += isRequest ? 1 : -1
    this.mostOut = Math.max(this.mostOut, this.#out)
    if (isRequest) this.#requests[op] = (this.#requests[op] ?? 0) + 1
  }
}
