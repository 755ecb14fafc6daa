// File domains: which bytes of a file one aggregator moves in a collective, and where a byte lies in
// the domain. A domain is the strips of some iods, one after another, so that each iod sees one
// aggregator and each aggregator one sequential stream for each of its iods. Pure arithmetic.

/** How the strips of a file are dealt out to aggregators. */
export interface Domains {
  readonly stripSize: number
  readonly iodCount: number
  /** Aggregators, at most `iodCount`. The strips of part p belong to aggregator p mod `count`. */
  readonly count: number
}

/** Strips of one stripe that belong to an aggregator. */
export function stripsPerStripe({ iodCount, count }: Domains, domain: number): number {
  return Math.ceil((iodCount - domain) / count)
}

/** Bytes of a domain that lie before a file offset. For an offset inside of the domain: where it is in it. */
export function bytesBefore(domains: Domains, domain: number, fileOffset: number): number {
  const { stripSize, iodCount, count } = domains
  const strip = Math.floor(fileOffset / stripSize)
  const stripe = Math.floor(strip / iodCount)
  const part = strip - stripe * iodCount
  const whole =
    stripe * stripsPerStripe(domains, domain) + Math.ceil(Math.max(0, part - domain) / count)
  const own = part % count === domain ? fileOffset - strip * stripSize : 0
  return whole * stripSize + own
}

/** Where a byte of a domain is in the file: the inverse of `bytesBefore`. */
export function fileOffsetIn(domains: Domains, domain: number, domainOffset: number): number {
  const { stripSize, iodCount, count } = domains
  const strips = Math.floor(domainOffset / stripSize)
  const perStripe = stripsPerStripe(domains, domain)
  const stripe = Math.floor(strips / perStripe)
  const part = domain + (strips - stripe * perStripe) * count
  return (stripe * iodCount + part - strips) * stripSize + domainOffset
}

/** Whether bytes `start` to `end` of the file touch a domain. */
export function touches(domains: Domains, domain: number, start: number, end: number): boolean {
  return end > start && bytesBefore(domains, domain, end) > bytesBefore(domains, domain, start)
}

/**
 * Bytes of the file in one round, so that no aggregator's share is more than `bufferSize`: whole
 * stripes if they fit; else a part of a stripe that divides it, in whole turns of all aggregators or as
 * a single strip; else a part of a strip. Windows are aligned to their size.
 */
export function windowSize(domains: Domains, bufferSize: number): number {
  const { stripSize, iodCount, count } = domains
  const share = stripsPerStripe(domains, 0) * stripSize
  if (bufferSize >= share) return Math.floor(bufferSize / share) * iodCount * stripSize
  if (bufferSize < stripSize) return 2 ** Math.floor(Math.log2(bufferSize))
  for (let turns = Math.floor(bufferSize / stripSize); turns > 0; turns--)
    if (iodCount % (turns * count) === 0) return turns * count * stripSize
  return stripSize
}

/** Bytes of a domain in one window of this size, at most. */
export function shareOfWindow(domains: Domains, domain: number, window: number): number {
  const { stripSize, iodCount, count } = domains
  const stripes = Math.floor(window / (iodCount * stripSize))
  if (stripes > 0) return stripes * stripsPerStripe(domains, domain) * stripSize
  return window >= count * stripSize ? window / count : Math.min(window, stripSize)
}
