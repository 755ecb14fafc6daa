// The slow, obvious file that random programs are compared with: one byte at a time, by plain loops over
// typemaps. Shares no code with the library.
import { bytesOf, extentOf, type Typemap } from '../datatype/typemap.js'

/** A view as the model sees it. */
export interface ReferenceView {
  /** Bytes from the start of the file. */
  readonly displacement: number
  readonly etypeSize: number
  readonly filetype: Typemap
}

/** The view after open. */
export const BYTES_VIEW: ReferenceView = {
  displacement: 0,
  etypeSize: 1,
  filetype: { entries: [{ at: 0, size: 1 }], lower: 0, upper: 1, isMarked: false, alignment: 1 },
}

/** Where data byte `from`, and the `length - 1` after it, of a view lie in the file. */
export function placesOf(view: ReferenceView, from: number, length: number): number[] {
  const tile = bytesOf(view.filetype, 1)
  const extent = extentOf(view.filetype)
  return Array.from({ length }, (_, index) => {
    const position = from + index
    const inTile = tile[position % tile.length] ?? 0
    return view.displacement + Math.floor(position / tile.length) * extent + inTile
  })
}

/** A file, byte by byte; sparse. */
export class ReferenceFile {
  readonly #bytes = new Map<number, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Cuts or extends. */
  setSize(size: number): void {
    this.#size = size
    for (const place of this.#bytes.keys()) if (place >= size) this.#bytes.delete(place)
  }

  /** Writes `data` from etype `etypeOffset` of a view on. */
  write(view: ReferenceView, etypeOffset: number, data: Uint8Array): void {
    this.writePlaces(placesOf(view, etypeOffset * view.etypeSize, data.length), data)
  }

  /** Reads up to `length` bytes from etype `etypeOffset` of a view on: those before the end of the file. */
  read(view: ReferenceView, etypeOffset: number, length: number): Uint8Array {
    return this.readPlaces(placesOf(view, etypeOffset * view.etypeSize, length))
  }

  /** Writes each byte of `data` at its place. */
  writePlaces(places: readonly number[], data: Uint8Array): void {
    for (const [index, place] of places.entries()) {
      this.#bytes.set(place, data[index] ?? 0)
      this.#size = Math.max(this.#size, place + 1)
    }
  }

  /** The bytes at `places`, up to the first that is not before the end of the file. */
  readPlaces(places: readonly number[]): Uint8Array {
    const beyond = places.findIndex((place) => place >= this.#size)
    const there = beyond < 0 ? places : places.slice(0, beyond)
    return Uint8Array.from(there, (place) => this.#bytes.get(place) ?? 0)
  }

  /** All bytes. */
  contents(): Uint8Array {
    return this.readPlaces(Array.from({ length: this.#size }, (_, place) => place))
  }
}
