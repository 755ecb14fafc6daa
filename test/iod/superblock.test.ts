import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Superblock, SuperblockFile } from '../../servers/iod/superblock.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { rejects, throws } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('superblock')

const SLOT_BYTES = 4096

const FRESH: Superblock = {
  fsid: '0123456789abcdef0123456789abcdef',
  index: 1023,
  uuid: 'fedcba9876543210fedcba9876543210',
  incarnation: 2 ** 40 + 1,
  epoch: 2 ** 41 + 1,
  epochId: '00112233445566778899aabbccddeeff',
  intentApplied: 2 ** 52 + 1,
  verifierSalt: 0xffff_fffe,
  iodtabHash: 'f'.repeat(64),
  iodtabCount: 1024,
  owedCuts: new Uint8Array(0),
}

test('every field is there again', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  superblock.close()
  assert.equal(SuperblockFile.open(disk, '/d').value, FRESH)
})

test('each field can be changed alone, and is there again', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  const changes: Partial<Superblock>[] = [
    { fsid: '1'.repeat(32) },
    { incarnation: 7 },
    { epoch: 8 },
    { intentApplied: 9 },
    { verifierSalt: 10 },
    { iodtabHash: '', iodtabCount: 0 },
    { owedCuts: new Uint8Array(3500).fill(7) },
    { owedCuts: new Uint8Array(0) },
  ]
  for (const change of changes) {
    const before = superblock.value
    await superblock.update(change)
    assert.equal(superblock.value, { ...before, ...change })
    const read = SuperblockFile.open(disk, '/d')
    assert.equal(read.value, superblock.value)
    read.close()
  }
})

test('only with owed cuts a superblock has the format that older programs refuse', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  const formats = (): number[] =>
    [0, SLOT_BYTES].map((at) => new DataView(slotsOf(disk).buffer).getUint16(at + 4, true))
  assert.equal(formats(), [1, 1])
  await superblock.updateBoth({ owedCuts: Uint8Array.of(1) })
  assert.equal(formats(), [2, 2])
  await superblock.updateBoth({ owedCuts: new Uint8Array(0) })
  assert.equal(formats(), [1, 1])
})

test('what is changed in both slots is known where either of them is damaged', async () => {
  for (const slot of [0, 1]) {
    const disk = newDisk()
    const superblock = await SuperblockFile.create(disk, '/d', FRESH)
    await superblock.update({ epoch: 5 })
    await superblock.updateBoth({ intentApplied: 9 })
    disk.flip('/d/superblock', slot * 4096 + 40)
    const read = SuperblockFile.open(disk, '/d')
    assert.ok(read.isDamaged)
    assert.equal([read.value.intentApplied, read.value.epoch], [9, 5])
  }
})

test('a change is on disk before it resolves, and not believed before', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  await superblock.update({ incarnation: 5 })
  const pending = superblock.update({ incarnation: 6 })
  assert.is(superblock.value.incarnation, 5)
  disk.crash()
  await rejects(pending, 'MPI_ERR_IO')
  assert.is(SuperblockFile.open(disk, '/d').value.incarnation, 5)
})

test('changes that are asked for at a time all happen, one after the other', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', { ...FRESH, verifierSalt: 0 })
  await Promise.all([
    superblock.update({ epoch: 77 }),
    superblock.update(({ verifierSalt }) => ({ verifierSalt: verifierSalt + 1 })),
    superblock.update({ intentApplied: 78 }),
    superblock.update(({ verifierSalt }) => ({ verifierSalt: verifierSalt + 1 })),
  ])
  disk.crash()
  const { epoch, verifierSalt, intentApplied } = SuperblockFile.open(disk, '/d').value
  assert.equal(
    { epoch, verifierSalt, intentApplied },
    { epoch: 77, verifierSalt: 2, intentApplied: 78 },
  )
})

test('a change that fails leaves the one before, and the next one works', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  disk.faults = {
    fault: (operation) => (operation === 'sync' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  const error = await rejects(superblock.update({ incarnation: 6 }), 'MPI_ERR_IO')
  assert.is(error.context.errno, 'EIO')
  disk.faults = {}
  assert.is(superblock.value.incarnation, FRESH.incarnation)
  await superblock.update({ incarnation: 7 })
  assert.is(SuperblockFile.open(disk, '/d').value.incarnation, 7)
})

property(
  test,
  'a slot that is torn at any byte falls back to the other one',
  60,
  async (random) => {
    const disk = newDisk()
    const superblock = await SuperblockFile.create(disk, '/d', FRESH)
    const updates = random.int(1, 4)
    for (let at = 1; at <= updates; at++) await superblock.update({ incarnation: at })
    const before = superblock.value
    const bytes = slotsOf(disk)
    await superblock.update({ incarnation: 99 })
    const after = slotsOf(disk)
    const newest = after.subarray(0, SLOT_BYTES).some((byte, index) => byte !== bytes[index])
      ? 0
      : 1
    // The first `kept` bytes of the slot are new, the others old, as after a loss of power.
    const kept = random.int(1, 120)
    const torn = after.slice()
    torn.set(
      bytes.subarray(newest * SLOT_BYTES + kept, (newest + 1) * SLOT_BYTES),
      newest * SLOT_BYTES + kept,
    )
    rewrite(disk, torn)
    const value = SuperblockFile.open(disk, '/d').value
    if (Buffer.compare(torn, after) === 0) assert.is(value.incarnation, 99)
    else assert.equal(value, before)
  },
)

test('two damaged slots are refused in one sentence', async () => {
  const disk = newDisk()
  await SuperblockFile.create(disk, '/d', FRESH)
  const bytes = slotsOf(disk)
  for (const slot of [0, 1])
    bytes[slot * SLOT_BYTES + 40] = (bytes[slot * SLOT_BYTES + 40] ?? 0) ^ 1
  rewrite(disk, bytes)
  const error = throws(() => SuperblockFile.open(disk, '/d'), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'CHECKSUM')
  assert.is(error.message, '/d: both copies of its superblock are damaged')
})

test('a newer format is refused by name, also where the other slot is ours', async () => {
  const disk = newDisk()
  const superblock = await SuperblockFile.create(disk, '/d', FRESH)
  await superblock.update({ incarnation: 1 })
  const bytes = slotsOf(disk)
  const slot = new DataView(bytes.buffer, 0, SLOT_BYTES)
  slot.setUint16(4, 3, true)
  slot.setUint32(SLOT_BYTES - 4, crcOf(bytes.subarray(0, SLOT_BYTES - 4)), true)
  rewrite(disk, bytes)
  const error = throws(() => SuperblockFile.open(disk, '/d'), 'MPI_ERR_IO')
  assert.match(error.message, /format 3, newer than 2/)
})

test('a formatting that was cut short before the first slot leaves no superblock', async () => {
  const disk = newDisk()
  disk.open('/d/superblock', 'create').close()
  assert.not(SuperblockFile.exists(disk, '/d'))
  await SuperblockFile.create(disk, '/d', FRESH)
  assert.ok(SuperblockFile.exists(disk, '/d'))
  disk.crash()
  assert.equal(SuperblockFile.open(disk, '/d').value, FRESH)
})

function newDisk(): SimDisk {
  const disk = new SimDisk({ clock: new VirtualClock() })
  disk.makeDirectory('/d')
  void disk.syncDirectory('/')
  return disk
}

function slotsOf(disk: SimDisk): Uint8Array {
  const file = disk.open('/d/superblock', 'read')
  const bytes = new Uint8Array(2 * SLOT_BYTES)
  file.read(bytes, 0)
  file.close()
  return bytes
}

function rewrite(disk: SimDisk, bytes: Uint8Array): void {
  const file = disk.open('/d/superblock', 'write')
  file.write(bytes, 0)
  file.close()
}

// CRC-32, bit by bit.
function crcOf(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0)
  }
  return (crc ^ 0xffff_ffff) >>> 0
}

test.run()
