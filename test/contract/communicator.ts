// What every kind of communicator promises: the same results on the same calls, the same errors, no hangs.
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import type { OperationName } from '../../lib/comm/reduction.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { rejects, throws, until } from '../support/assertions.js'
import { type JobKind, onAll, settled } from '../support/job.js'
import { property, Random } from '../support/random.js'

const SIZES = [1, 2, 3, 4, 8, 17, 20]

/** Adds the tests of all communicators for one kind. */
export function communicatorContract(test: Test, kind: JobKind): void {
  for (const size of SIZES) {
    test(`${size} ranks: collectives give what naive loops give`, async () => {
      await using job = await kind.make(size)
      await checkCollectives(job.comms, new Random())
    })
  }
  addMessageTests(test, kind)
  addCollectiveTests(test, kind)
  addErrorTests(test, kind)
  addFailureTests(test, kind)
}

async function checkCollectives(comms: readonly Communicator[], random: Random): Promise<void> {
  const size = comms.length
  // Small enough for their product to be exact, whatever the order.
  const values = comms.map(() => random.int(-3, 3))
  const vectors = comms.map(() => Float64Array.from({ length: 5 }, () => random.int(-3, 3)))
  const table = comms.map(() => comms.map(() => random.bytes(random.int(0, 300))))
  const root = random.int(0, size - 1)
  await onAll(comms, async (comm) => {
    const { rank } = comm
    const own = values[rank] ?? 0
    await comm.barrier()
    assert.equal(await comm.bcast(rank === root ? values : undefined, root), values)
    assert.equal(
      await comm.allgather({ own }),
      values.map((value) => ({ own: value })),
    )
    const gathered = await comm.gather(vectors[rank], root)
    assert.equal(gathered, rank === root ? vectors : undefined)
    const list = rank === root ? values.map((value) => [value]) : undefined
    assert.equal(await comm.scatter(list, root), [own])
    const row = comms.map((_, dest) => `${rank} to ${dest}`)
    assert.equal(
      await comm.alltoall(row),
      comms.map((_, source) => `${source} to ${rank}`),
    )
    const bytes = await comm.alltoallv(table[rank] ?? [])
    assert.equal(
      bytes,
      table.map((sent) => sent[rank]),
    )
    const vector = vectors[rank] ?? new Float64Array(0)
    for (const name of ['sum', 'prod', 'min', 'max'] as const) {
      assert.is(await comm.allreduce(own, name), naive(name, values))
      const reduced = await comm.reduce(vector, name, root)
      assert.equal(reduced, rank === root ? naiveVector(name, vectors) : undefined)
    }
    const text = (low: string, high: string): string => low + high
    const letter = String.fromCharCode(97 + rank)
    const all = comms.map((_, index) => String.fromCharCode(97 + index)).join('')
    assert.is(await comm.reduce(letter, text, root), rank === root ? all : undefined)
    assert.is(await comm.scan(letter, text), all.slice(0, rank + 1))
    assert.is(await comm.exscan(letter, text), rank === 0 ? undefined : all.slice(0, rank))
    assert.equal(await comm.agree('compare', own), values)
    const told = await comm.consult('ask', own, (asked) => asked.length + (asked[root] ?? 0))
    assert.is(told, size + (values[root] ?? 0))
    const joined = (all: readonly string[]): string => all.join('')
    const mine = String.fromCodePoint(0x100 + rank)
    const whole = String.fromCodePoint(...values.map((_, other) => 0x100 + other))
    const alike = { merge: joined, decide: (all: string) => ({ all }) }
    assert.is(await comm.resolve('merge', mine, alike), whole)
    assert.is(await comm.resolve('merge', mine, { ...alike, isPlain: () => true }), whole)
    const each = await comm.resolve('merge', mine, {
      merge: joined,
      decide: async (all) => ({ each: Array.from(all, (letter) => `${letter}!`) }),
    })
    assert.is(each, `${mine}!`)
    const nothing = await comm.resolve('merge', undefined, {
      merge: () => undefined,
      decide: () => ({ all: undefined }),
      isPlain: () => true,
    })
    assert.is(nothing, undefined)
  })
}

function isTypeError(error: unknown): boolean {
  return error instanceof TypeError
}

function naive(name: OperationName, values: readonly number[]): number {
  const combine = {
    sum: (a: number, b: number) => a + b,
    prod: (a: number, b: number) => a * b,
    min: Math.min,
    max: Math.max,
  }[name as 'sum']
  return values.reduce((a, b) => combine(a, b))
}

function naiveVector(name: OperationName, vectors: readonly Float64Array[]): Float64Array {
  const [first = new Float64Array(0)] = vectors
  return first.map((_, index) =>
    naive(
      name,
      vectors.map((vector) => vector[index] ?? 0),
    ),
  )
}

function addMessageTests(test: Test, kind: JobKind): void {
  test('bytes in parts arrive as one, short or long, from one rank or any', async () => {
    await using job = await kind.make(3)
    await onAll(job.comms, async (comm) => {
      for (const [tag, length] of [0, 10, 300_000].entries()) {
        if (comm.rank > 0) {
          const parts = [Uint8Array.of(comm.rank), new Uint8Array(length).fill(comm.rank)]
          await comm.sendBytes(parts, 0, tag)
          continue
        }
        const expected = (rank: number): Uint8Array => new Uint8Array(length + 1).fill(rank)
        assert.equal(await comm.recvBytes(2, tag), expected(2))
        assert.equal(await comm.recvBytes('any', tag), expected(1))
      }
    })
  })

  property(test, 'what is borrowed is whole until it is given back', 2, async (random) => {
    await using job = await kind.make(2)
    const lengths = Array.from({ length: 30 }, () => random.pick([0, 100, 5000, 70_000, 900_000]))
    await onAll(job.comms, async (comm) => {
      if (comm.rank === 1) {
        for (const [i, length] of lengths.entries())
          await comm.sendBytes([new Uint8Array(length).fill(i)], 0, 3)
        return
      }
      // Two are held at a time, so that one comes while another is still read.
      let before: (() => void) | undefined
      for (const [i, length] of lengths.entries()) {
        const { bytes, giveBack } = await comm.borrowBytes(1, 3)
        before?.()
        before = () => {
          assert.equal(bytes, new Uint8Array(length).fill(i))
          giveBack()
        }
      }
      before?.()
    })
  })

  property(test, 'messages arrive whole, by source and tag, in their order', 3, async (random) => {
    await using job = await kind.make(3)
    const lengths = Array.from({ length: 20 }, () => random.pick([0, 1, 100, 70_000, 3_000_000]))
    const payloads = lengths.map((length) => random.bytes(length))
    await onAll(job.comms, async (comm) => {
      const other = (comm.rank + 1) % 3
      const source = (comm.rank + 2) % 3
      const sends = payloads.map((payload, index) => comm.send(payload, other, index % 2))
      for (const tag of [1, 0]) {
        for (let index = tag; index < payloads.length; index += 2) {
          assert.equal(await comm.recv(source, tag), payloads[index])
        }
      }
      await Promise.all(sends)
    })
  })

  test('values of every kind survive, and share nothing with the sender', async () => {
    await using job = await kind.make(2)
    const shared = new Float64Array(new SharedArrayBuffer(16))
    shared.set([1, 2])
    const values = [
      undefined,
      null,
      0,
      -0,
      Number.NaN,
      1.5,
      12n,
      'text',
      true,
      [1, [2]],
      { a: new Map([[1, new Set(['x'])]]) },
      new Uint8Array([1, 2]),
      new Int16Array([-1]),
      new BigInt64Array([-5n]),
      Float32Array.of(0.5),
      new Uint8ClampedArray(3),
      Buffer.from('buffer'),
      new DataView(new ArrayBuffer(3)),
      new Date(5),
      new Float64Array(0),
      new Int32Array([1, 2, 3, 4]).subarray(1, 3),
    ]
    await onAll(job.comms, async (comm) => {
      for (const value of values) {
        const sent = comm.send(value, 1 - comm.rank)
        const got = await comm.recv()
        assert.equal(got, value)
        assert.is(Object.prototype.toString.call(got), Object.prototype.toString.call(value))
        assert.is(Buffer.isBuffer(got), Buffer.isBuffer(value))
        if (value !== null && typeof value === 'object') assert.is.not(got, value)
        await sent
      }
      await comm.send(shared, 1 - comm.rank)
      assert.equal(await comm.recv<Float64Array>(), Float64Array.of(1, 2))
    })
  })

  test('a typed array that was received is its own buffer', async () => {
    await using job = await kind.make(3)
    await onAll(job.comms, async (comm) => {
      const vector = Float64Array.of(comm.rank, 1, 2)
      const sent = comm.send(vector, (comm.rank + 1) % 3)
      assert.is((await comm.recv<Float64Array>()).buffer.byteLength, 24)
      await sent
      const all = [
        ...(await comm.allgather(vector)),
        await comm.bcast(vector),
        await comm.scan(vector, 'sum'),
        ...(await comm.alltoall([vector, vector, vector])),
      ]
      for (const got of all) if (got !== vector) assert.is(got.buffer.byteLength, 24)
      vector.fill(-1)
      assert.is.not(all[comm.rank]?.[0], -1)
    })
  })

  test('any source and any tag take what has come first; a rank may send to itself', async () => {
    await using job = await kind.make(4)
    await onAll(job.comms, async (comm) => {
      await comm.send(new Uint8Array(2_000_000), comm.rank, 5)
      assert.is((await comm.recv<Uint8Array>(comm.rank, 5)).length, 2_000_000)
      if (comm.rank > 0) {
        await comm.send(comm.rank, 0, comm.rank * 10)
        return
      }
      const got = [
        await comm.recv<number>(),
        await comm.recv<number>('any', 20),
        await comm.recv<number>(),
      ]
      assert.equal(got.length, 3)
      assert.ok(got.includes(2))
    })
  })

  test('what is sent on one communicator is never received on another', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      const copy = await comm.dup()
      await comm.send('world', 1 - comm.rank)
      await copy.send('copy', 1 - comm.rank)
      assert.is(await copy.recv(), 'copy')
      await comm.barrier()
      assert.is(await comm.recv(), 'world')
      await copy.free()
    })
  })

  test('short messages that nobody receives are bounded: the sends after them wait', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      let done = 0
      const sends =
        comm.rank > 0
          ? []
          : Array.from({ length: 100 }, async (_, index) => {
              await comm.send(new Uint8Array(60_000).fill(index), 1)
              done++
            })
      await comm.barrier()
      assert.ok(done <= LIMITS.rankWindowBytes / 60_000, String(done))
      await comm.barrier()
      for (let index = 0; comm.rank === 1 && index < 100; index++) {
        assert.is((await comm.recv<Uint8Array>())[59_999], index)
      }
      await Promise.all(sends)
    })
  })

  test('a thousand long sends that nobody receives yet cost no memory and stop nothing', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      const payload = new Uint8Array(100_000)
      const sends =
        comm.rank === 0 ? Array.from({ length: 1000 }, () => comm.send(payload, 1, 3)) : []
      await comm.barrier()
      assert.is(await comm.allreduce(1, 'sum'), 2)
      if (comm.rank === 1)
        for (let i = 0; i < 1000; i++)
          assert.is((await comm.recv<Uint8Array>(0, 3)).length, 100_000)
      await Promise.all(sends)
    })
  })

  test('a long message that is offered just before its communicator fails is not waited for', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      for (const receive of ['recvBytes', 'borrowBytes'] as const) {
        const other = await comm.dup()
        if (comm.rank === 1) {
          const received = rejects(other[receive](0, 3), 'MPI_ERR_OTHER')
          await comm.barrier()
          await received
          continue
        }
        await comm.barrier()
        const sent = rejects(other.sendBytes([new Uint8Array(900_000)], 1, 3), 'MPI_ERR_OTHER')
        // Both reach the receiver at once.
        other.fail(new IoError('MPI_ERR_OTHER', 'over'))
        await sent
      }
    })
  })

  test('an array that was detached is no value, and is refused before anything is sent', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      const { rank } = comm
      const memory = new ArrayBuffer(32)
      const values = [new Float64Array(memory), Buffer.from(memory)]
      structuredClone(memory, { transfer: [memory] })
      for (const value of values) {
        const { message } = await rejects(comm.send(value, 1 - rank, 1), 'MPI_ERR_BUFFER')
        assert.is(message, 'value: its memory was detached or made smaller')
      }
      assert.is(await comm.allreduce(1, 'sum'), 2)
    })
  })

  test('a long send whose memory is detached while it waits fails with its receive, and nothing else', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      const { rank } = comm
      const payload = new Float64Array(100_000)
      const sent =
        rank === 0 ? rejects(comm.send(payload, 1, 3), 'MPI_ERR_BUFFER') : Promise.resolve()
      if (rank === 0) structuredClone(payload, { transfer: [payload.buffer] })
      await comm.barrier()
      if (rank === 1) {
        const error = await rejects(comm.recv(0, 3), 'MPI_ERR_BUFFER')
        assert.is(
          error.message,
          'message: rank 0 detached its memory or made it smaller before all of it was sent',
        )
        assert.is(error.context.rank, 0)
      }
      await sent
      if (rank === 0) await comm.send(new Float64Array(100_000).fill(1), 1, 3)
      else assert.is((await comm.recv<Float64Array>(0, 3)).at(-1), 1)
      assert.is(await comm.allreduce(1, 'sum'), 2)
    })
  })

  test('a long message for which its receiver has no memory fails on both sides, and nothing else', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      // 20 GiB in all, more than an array can have: the same 64 MiB over and over.
      const part = comm.rank === 0 ? new Uint8Array(2 ** 26) : undefined
      for (const receive of ['recvBytes', 'borrowBytes'] as const) {
        if (part === undefined) await rejects(comm[receive](0, 3), 'MPI_ERR_NO_MEM')
        else {
          const parts = Array.from({ length: 320 }, () => part)
          const { context } = await rejects(comm.sendBytes(parts, 1, 3), 'MPI_ERR_NO_MEM')
          assert.equal(context, { rank: 1, length: 320 * part.length })
        }
      }
      if (comm.rank === 0) await comm.send(new Float64Array(100_000).fill(1), 1, 3)
      else assert.is((await comm.recv<Float64Array>(0, 3)).at(-1), 1)
      assert.is(await comm.allreduce(1, 'sum'), 2)
    })
  })

  test('a send whose memory is detached before there is a connection fails with its receive', async () => {
    await using job = await kind.make(3)
    await onAll(job.comms, async (comm) => {
      const payload = new Float64Array(100_000)
      if (comm.rank === 1) {
        const sent = rejects(comm.send(payload, 2, 3), 'MPI_ERR_BUFFER')
        structuredClone(payload, { transfer: [payload.buffer] })
        await sent
      } else if (comm.rank === 2) await rejects(comm.recv(1, 3), 'MPI_ERR_BUFFER')
      assert.is(await comm.allreduce(1, 'sum'), 3)
    })
  })

  test('a collective whose memory is detached while it is sent fails on all ranks, and its communicator alone', async () => {
    await using job = await kind.make(4)
    await onAll(job.comms, async (comm) => {
      const other = await comm.dup()
      const payload = new Float64Array(100_000)
      const moved = rejects(other.bcast(comm.rank === 0 ? payload : undefined), 'MPI_ERR_BUFFER')
      if (comm.rank === 0) structuredClone(payload, { transfer: [payload.buffer] })
      await moved
      assert.is(await comm.allreduce(1, 'sum'), 4)
    })
  })
}

function addCollectiveTests(test: Test, kind: JobKind): void {
  property(
    test,
    'collectives that are not awaited run in the order of their calls',
    3,
    async (random) => {
      await using job = await kind.make(4)
      const program = Array.from({ length: 40 }, () => random.int(0, 4))
      const results = await onAll(job.comms, async (comm) => {
        const work = program.map(async (choice, index): Promise<unknown> => {
          if (choice === 0) return await comm.allreduce(index * (comm.rank + 1), 'sum')
          if (choice === 1)
            return await comm.bcast(comm.rank === index % 4 ? index : undefined, index % 4)
          if (choice === 2) return (await comm.allgather(index)).length
          if (choice === 3) return await comm.barrier()
          return (await comm.alltoallv([0, 1, 2, 3].map(() => new Uint8Array(index * 1000)))).length
        })
        return await Promise.all(work)
      })
      for (const result of results) assert.equal(result, results[0])
      assert.equal(
        results[0],
        program.map((choice, index) => [index * 10, index, 4, undefined, 4][choice]),
      )
    },
  )

  test('a barrier lets nobody through before all have come', async () => {
    await using job = await kind.make(4)
    let entered = 0
    await onAll(job.comms, async (comm) => {
      // Ranks come one after the other.
      await until(() => entered === comm.rank)
      entered++
      await comm.barrier()
      assert.is(entered, 4)
    })
  })

  test('reductions know numbers, bigints, booleans and arrays', async () => {
    await using job = await kind.make(3)
    await onAll(job.comms, async (comm) => {
      const { rank } = comm
      assert.is(await comm.allreduce(BigInt(rank), 'sum'), 3n)
      assert.is(await comm.allreduce(rank > 0, 'land'), false)
      assert.is(await comm.allreduce(rank > 0, 'lor'), true)
      assert.is(await comm.allreduce(rank, 'land'), 0)
      assert.is(await comm.allreduce(rank, 'lor'), 1)
      assert.is(await comm.allreduce(2 ** 40 + (1 << rank), 'bor'), 2 ** 40 + 7)
      assert.is(await comm.allreduce(2 ** 40 + rank, 'band'), 2 ** 40)
      assert.equal(await comm.allreduce([rank, -rank], 'max'), [2, 0])
      assert.equal(await comm.allreduce(Uint8Array.of(200), 'sum'), Uint8Array.of(600 % 256))
      assert.equal(
        await comm.allreduce(BigInt64Array.of(BigInt(rank)), 'prod'),
        BigInt64Array.of(0n),
      )
      assert.ok(Number.isNaN(await comm.allreduce(rank === 1 ? Number.NaN : 1, 'min')))
    })
  })

  test('split orders by key, then by rank; undefined takes no part', async () => {
    await using job = await kind.make(8)
    await onAll(job.comms, async (comm) => {
      const color = comm.rank === 5 ? undefined : comm.rank % 2
      // Typed by its overloads: one call for each.
      const part =
        color === undefined ? await comm.split(color) : await comm.split(color, -comm.rank)
      if (part === undefined) {
        assert.is(comm.rank, 5)
        return
      }
      const expected = color === 0 ? [6, 4, 2, 0] : [7, 3, 1]
      assert.equal(part.group, {
        size: expected.length,
        rank: expected.indexOf(comm.rank),
        ranks: expected,
      })
      assert.equal(await part.allgather(comm.rank), expected)
      const inner = await part.split(0)
      await inner.send(inner.rank, (inner.rank + 1) % inner.size)
      assert.is(await inner.recv(), (inner.rank + inner.size - 1) % inner.size)
      await part.free()
      assert.is(await inner.allreduce(1, 'sum'), inner.size)
    })
  })

  test('no program changes which ranks a communicator has', async () => {
    await using job = await kind.make(3)
    await onAll(job.comms, async (comm) => {
      for (const each of [comm, await comm.dup(), await comm.split(0, -comm.rank)]) {
        const before = [...each.group.ranks]
        const ranks = each.group.ranks as number[]
        assert.throws(() => ranks.sort((one, other) => other - one), isTypeError)
        assert.throws(() => ranks.push(7), isTypeError)
        assert.throws(() => Object.assign(each.group, { ranks: [] }), isTypeError)
        assert.equal(each.group.ranks, before)
        assert.equal(await each.allgather(comm.rank), before)
      }
    })
  })

  test('communicators made at the same time, in another order on each rank of several, keep apart', async () => {
    await using job = await kind.make(4)
    await onAll(job.comms, async (comm) => {
      const [one, two] = await Promise.all([comm.dup(), comm.dup()])
      const made = comm.rank % 2 === 0 ? [one.dup(), two.dup()] : [two.dup(), one.dup()].reverse()
      const [oneOfOne, oneOfTwo] = await Promise.all(made)
      if (oneOfOne === undefined || oneOfTwo === undefined) throw new Error('two were made')
      const sums = [
        oneOfOne.allreduce('1', (a, b) => a + b),
        oneOfTwo.allreduce('2', (a, b) => a + b),
      ]
      assert.equal(await Promise.all(sums), ['1111', '2222'])
    })
  })

  test('free ends a communicator, once, and the world all others', async () => {
    await using job = await kind.make(3)
    let ends = 0
    await onAll(job.comms, async (comm) => {
      const copy = await comm.dup()
      const other = await comm.dup()
      await copy.free()
      await copy.free()
      await rejects(copy.barrier(), 'MPI_ERR_COMM')
      await rejects(copy.send(1, 0), 'MPI_ERR_COMM')
      const pending = rejects(other.recv(), 'MPI_ERR_COMM')
      comm.job.onEnd(() => {
        ends++
      })
      await comm.free()
      await pending
      await rejects(other.allreduce(1, 'sum'), 'MPI_ERR_COMM')
      await rejects(comm.recv(), 'MPI_ERR_COMM')
    })
    assert.is(ends, 3)
  })

  test('one session for all, a client for each', async () => {
    await using job = await kind.make(3)
    assert.is(new Set(job.comms.map((comm) => comm.job.sessionId())).size, 1)
    assert.is(new Set(job.comms.map((comm) => comm.job.clientId)).size, 3)
  })

  test('an exchange of tens of MiB between all', async () => {
    await using job = await kind.make(4)
    await onAll(job.comms, async (comm) => {
      const buffers = [0, 1, 2, 3].map((dest) =>
        new Uint8Array(5_000_000 + dest).fill(comm.rank * 4 + dest),
      )
      const received = await comm.alltoallv(buffers)
      for (const [source, bytes] of received.entries()) {
        assert.is(bytes.length, 5_000_000 + comm.rank)
        const mark = source * 4 + comm.rank
        assert.ok(bytes[0] === mark && bytes.at(-1) === mark && bytes[2_500_000] === mark)
      }
    })
  })
}

function addErrorTests(test: Test, kind: JobKind): void {
  test('wrong arguments are found before anything is sent', async () => {
    await using job = await kind.make(2)
    await onAll(job.comms, async (comm) => {
      await rejects(comm.send(1, 2), 'MPI_ERR_RANK')
      await rejects(comm.send(1, -1), 'MPI_ERR_RANK')
      await rejects(comm.recv(0.5), 'MPI_ERR_RANK')
      await rejects(comm.send(1, 0, -1), 'MPI_ERR_TAG')
      await rejects(comm.recv(0, 2 ** 31), 'MPI_ERR_TAG')
      await rejects(comm.bcast(1, 2), 'MPI_ERR_ROOT')
      await rejects(comm.scatter([1], comm.rank), 'MPI_ERR_COUNT')
      await rejects(comm.alltoall([1, 2, 3]), 'MPI_ERR_COUNT')
      await rejects(comm.reduce('text', 'sum'), 'MPI_ERR_OP')
      await rejects(comm.allreduce(1.5, 'band'), 'MPI_ERR_OP')
      await rejects(comm.allreduce(1, 'xor' as 'sum'), 'MPI_ERR_OP')
      await rejects(
        comm.bcast(() => 1, comm.rank),
        'MPI_ERR_ARG',
      )
      await rejects(comm.split(0.5), 'MPI_ERR_ARG')
      await rejects(comm.agree('', 1), 'MPI_ERR_ARG')
      await rejects(comm.alltoallv([1, 2] as unknown as Uint8Array[]), 'MPI_ERR_BUFFER')
      await comm.barrier()
    })
  })

  test('another operation on one rank rejects on all, names it, and breaks the communicator', async () => {
    for (const odd of [0, 1, 3]) {
      await using job = await kind.make(4)
      const results = await settled(job.comms, (comm) =>
        comm.rank === odd ? comm.agree('readAll', 1) : comm.agree('writeAll', 1),
      )
      const errors = errorsOf(results)
      for (const error of errors) {
        assert.is(error.code, 'MPI_ERR_NOT_SAME')
        assert.match(error.message, `rank ${odd}`)
        assert.match(error.message, 'readAll')
        assert.match(error.message, 'writeAll')
      }
      for (const error of errorsOf(await settled(job.comms, (comm) => comm.barrier()))) {
        assert.is(error.code, 'MPI_ERR_NOT_SAME')
      }
      await onAll(job.comms, (comm) => comm.free())
    }
  })

  const calls: Readonly<Record<string, (comm: Communicator) => Promise<unknown>>> = {
    barrier: (comm) => comm.barrier(),
    'bcast from 0': (comm) => comm.bcast(1, 0),
    'bcast from 1': (comm) => comm.bcast(1, 1),
    'gather at 0': (comm) => comm.gather(1, 0),
    'gather at 2': (comm) => comm.gather(1, 2),
    'scatter from 0': (comm) => comm.scatter([1, 2, 3], 0),
    'scatter from 1': (comm) => comm.scatter([1, 2, 3], 1),
    alltoall: (comm) => comm.alltoall([1, 2, 3]),
    scan: (comm) => comm.scan(1, 'sum'),
    free: (comm) => comm.free(),
  }

  test('no pair of different collectives leaves anybody waiting', async () => {
    for (const [name, call] of Object.entries(calls)) {
      for (const [otherName, otherCall] of Object.entries(calls)) {
        if (name === otherName) continue
        await using job = await kind.make(3)
        const split = await onAll(job.comms, (comm) => comm.dup())
        const results = await settled(split, (comm) =>
          comm.rank === 1 ? otherCall(comm) : call(comm),
        )
        const failed = results.filter(({ status }) => status === 'rejected')
        const late = await settled(split, (comm) => comm.barrier())
        const message = `${name} against ${otherName}: ${failed.length} of 3`
        for (const error of errorsOf([...failed, ...late]))
          assert.is(error.code, 'MPI_ERR_NOT_SAME', message)
        assert.is(late.filter(({ status }) => status === 'rejected').length, 3, message)
        await onAll(job.comms, (comm) => comm.barrier())
      }
    }
  })

  test('a rank that leaves its block rejects those who go on, at once', async () => {
    await using job = await kind.make(3)
    const files = await onAll(job.comms, (comm) => comm.dup())
    const results = await settled(job.comms, async (comm) => {
      if (comm.rank === 1) return await comm.free()
      try {
        return await files[comm.rank]?.agree('writeAll', 1)
      } finally {
        await comm.free()
      }
    })
    for (const error of errorsOf(results)) assert.is(error.code, 'MPI_ERR_NOT_SAME')
    assert.is(errorsOf(results).length, 3)
  })

  test('a reduction that fails on one rank fails on all', async () => {
    await using job = await kind.make(4)
    const results = await settled(job.comms, (comm) =>
      comm.allreduce(new Float64Array(comm.rank === 3 ? 2 : 1), 'sum'),
    )
    for (const error of errorsOf(results)) assert.is(error.code, 'MPI_ERR_OP')
    assert.is(errorsOf(results).length, 4)
    await using second = await kind.make(2)
    const thrown = await settled(second.comms, (comm) =>
      comm.allreduce(1, () => {
        throw new Error('boom')
      }),
    )
    for (const error of errorsOf(thrown)) assert.match(error.message, 'boom')
    assert.is(errorsOf(thrown).length, 2)
  })

  test('fail ends one communicator on all ranks and no other', async () => {
    await using job = await kind.make(3)
    const copies = await onAll(job.comms, (comm) => comm.dup())
    const results = await settled(copies, async (comm) => {
      if (comm.rank === 2) comm.fail(errorOf('DEADLINE', 'rank 0 is late', { rank: 0 }))
      await comm.recv(1)
    })
    for (const error of errorsOf(results)) {
      assert.is(error.context.reason, 'DEADLINE')
      assert.is(error.context.rank, 0)
    }
    assert.is(errorsOf(results).length, 3)
    await onAll(job.comms, (comm) => comm.barrier())
  })
}

function addFailureTests(test: Test, kind: JobKind): void {
  test('abort rejects what is pending and what is called later, on all ranks', async () => {
    await using job = await kind.make(4)
    const copies = await onAll(job.comms, (comm) => comm.dup())
    const pending = settled(job.comms, (comm) =>
      comm.rank % 2 === 0 ? comm.barrier() : comm.recv(0),
    )
    copies[1]?.abort('enough')
    for (const error of errorsOf(await pending)) {
      assert.is(error.context.reason, 'ABORTED')
      assert.is(error.context.rank, 1)
      assert.match(error.message, 'enough')
    }
    await onAll(copies, async (comm) => {
      assert.is((await rejects(comm.allgather(1))).context.reason, 'ABORTED')
      assert.is((await rejects(comm.send(1, 0))).context.reason, 'ABORTED')
      await comm.free()
    })
  })

  test('a rank that has left is named to those who still need it', async () => {
    await using job = await kind.make(3)
    const parts = await onAll(job.comms, (comm) => comm.split(comm.rank === 0 ? 0 : 1))
    job.comms[0]?.fail(errorOf('DEADLINE', 'rank 2 is late', { rank: 2 }))
    await onAll(job.comms.slice(1), async (comm) => {
      assert.is((await rejects(comm.recv())).context.reason, 'DEADLINE')
      if (comm.rank === 1) return await comm.free()
      const error = await rejects(parts[2]?.recv(0) ?? Promise.resolve())
      assert.is(error.context.rank, 1)
      assert.match(error.message, 'rank 1 has left the job')
    })
  })

  const waits: Readonly<Record<string, (comm: Communicator, victim: number) => Promise<unknown>>> =
    {
      barrier: (comm) => comm.barrier(),
      'bcast from the victim': (comm, victim) => comm.bcast(1, victim),
      'receive from the victim': (comm, victim) => comm.recv(victim),
      'receive from any': (comm) => comm.recv(),
      'receive from another': (comm, victim) => comm.recv((victim + 1) % comm.size),
      'long send to the victim': (comm, victim) => comm.send(new Uint8Array(5_000_000), victim),
      alltoallv: (comm) =>
        comm.alltoallv(Array.from({ length: comm.size }, () => new Uint8Array(200_000))),
      free: (comm) => comm.free(),
    }

  if (kind.name === 'local') return
  for (const [name, wait] of Object.entries(waits)) {
    test(`the death of any rank ends ${name} on all others`, async () => {
      for (let victim = 0; victim < 4; victim++) {
        await using job = await kind.make(4)
        const others = job.comms.filter((comm) => comm.rank !== victim)
        const pending = settled(others, (comm) => wait(comm, victim))
        job.kill?.(victim)
        const errors = errorsOf(await pending)
        assert.is(errors.length, 3)
        for (const error of errors) checkDeath(error, victim)
        await onAll(others, async (comm) => {
          checkDeath(await rejects(comm.dup()), victim)
          checkDeath(await rejects(comm.send(1, victim)), victim)
        })
      }
    })
  }

  test('a death is known to all of a tree of three levels, also when an inner rank dies', async () => {
    for (const victim of [0, 1, 18, 39]) {
      await using job = await kind.make(40)
      const others = job.comms.filter((comm) => comm.rank !== victim)
      const pending = settled(others, (comm) => comm.recv((comm.rank + 1) % 40))
      job.kill?.(victim)
      const errors = errorsOf(await pending)
      assert.is(errors.length, 39)
      for (const error of errors) checkDeath(error, victim)
    }
  })

  test('communicators without the dead rank go on, and see the next death', async () => {
    await using job = await kind.make(5)
    const parts = await onAll(job.comms, (comm) => comm.split(comm.rank === 0 ? 0 : 1))
    const part = parts.filter((comm) => comm.group.ranks.includes(1))
    job.kill?.(0)
    await onAll(job.comms.slice(1), async (comm) => checkDeath(await rejects(comm.recv()), 0))
    assert.equal(await onAll(part, (comm) => comm.allreduce(1, 'sum')), [4, 4, 4, 4])
    const pending = settled(
      [1, 2].flatMap((index) => part[index] ?? []),
      (comm) => comm.recv(3),
    )
    job.kill?.(4)
    for (const error of errorsOf(await pending)) checkDeath(error, 4)
  })
}

function checkDeath(error: IoError, victim: number): void {
  assert.is(error.context.reason, 'RANK_DIED', error.message)
  assert.is(error.context.rank, victim)
  assert.match(error.message, `rank ${victim}`)
}

function errorsOf(results: readonly PromiseSettledResult<unknown>[]): IoError[] {
  return results.flatMap((result) => {
    if (result.status === 'fulfilled') return []
    return [
      throws(() => {
        throw result.reason
      }),
    ]
  })
}
