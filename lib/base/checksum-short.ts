// The same CRC-32 of a few bytes, in JavaScript: a call of Node's own takes longer to get there than 52 bytes take here
// (115 ns against 35, measured), and every message is checked twice at either end.

const POLYNOMIAL = 0xedb88320

/** Bytes that are taken at a time: a table of 256 for each. */
const SLICE = 8

const [T0, T1, T2, T3, T4, T5, T6, T7] = tables()

/** CRC-32 of the first `words` words of 4 bytes of a view, as an unsigned number. */
export function crc32OfWords(view: DataView, words: number): number {
  let crc = -1
  let at = 0
  for (const end = (words - 1) * 4; at < end; at += SLICE) {
    const low = crc ^ view.getUint32(at, true)
    const high = view.getUint32(at + 4, true)
    crc =
      entry(T7, low) ^
      entry(T6, low >>> 8) ^
      entry(T5, low >>> 16) ^
      entry(T4, low >>> 24) ^
      entry(T3, high) ^
      entry(T2, high >>> 8) ^
      entry(T1, high >>> 16) ^
      entry(T0, high >>> 24)
  }
  if (at < words * 4) {
    const last = crc ^ view.getUint32(at, true)
    crc = entry(T3, last) ^ entry(T2, last >>> 8) ^ entry(T1, last >>> 16) ^ entry(T0, last >>> 24)
  }
  return ~crc >>> 0
}

function entry(table: Int32Array, byte: number): number {
  return table[byte & 0xff] ?? 0
}

// What a byte does to the checksum when 0 to 7 others come behind it.
function tables(): [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
] {
  const table = (step: (byte: number) => number): Int32Array =>
    Int32Array.from({ length: 256 }, (_, byte) => step(byte))
  const first = table(ofByte)
  const behind = (before: Int32Array): Int32Array =>
    table((byte) => (entry(before, byte) >>> 8) ^ entry(first, entry(before, byte)))
  const t1 = behind(first)
  const t2 = behind(t1)
  const t3 = behind(t2)
  const t4 = behind(t3)
  const t5 = behind(t4)
  const t6 = behind(t5)
  return [first, t1, t2, t3, t4, t5, t6, behind(t6)]
}

function ofByte(byte: number): number {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL
  return crc
}
