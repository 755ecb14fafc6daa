// Kill points: a class of operations, and a crossing in a server at which that server dies while one is
// done. Which of them a run takes is decided by its seed alone.
import { FAULT_POINTS } from '../../../lib/base/faults.js'
import { Random } from '../../support/random.js'
import { type Crossing, syscallOf } from './orders.js'

/** One kill point. */
export interface KillPoint {
  readonly play: string
  readonly at: Crossing
}

/** Crossings of one place in one operation that are told apart: the first ones, and the last. */
const CROSSINGS_MAX = 4

/** The kill points of a play, of what was crossed when nobody died. */
export function pointsOf(play: string, crossings: readonly Crossing[]): KillPoint[] {
  const counts = new Map<string, number>()
  for (const at of crossings) counts.set(placeOf(at), at.crossing)
  return crossings
    .filter((at) => {
      const last = counts.get(placeOf(at)) ?? 0
      return at.crossing < CROSSINGS_MAX || at.crossing === last
    })
    .map((at) => ({ play, at }))
}

/** All of them in an order of the seed: one of each play in turn, so that no class is left out of the first ones. */
export function shuffled(points: readonly KillPoint[], seed: number): KillPoint[] {
  const random = new Random(seed)
  const byPlay = new Map<string, KillPoint[]>()
  for (const point of random.shuffle(points))
    byPlay.set(point.play, [...(byPlay.get(point.play) ?? []), point])
  const turns = [...byPlay.values()]
  const most = Math.max(0, ...turns.map(({ length }) => length))
  return Array.from({ length: most }, (_, turn) =>
    turns.flatMap((mine) => mine.slice(turn, turn + 1)),
  ).flat()
}

/** A kill point in words, which `pointNamed` reads. */
export function nameOf({ play, at }: KillPoint): string {
  return [play, at.server, at.point, at.op ?? '-', at.crossing].join('/')
}

/** The kill point of a name, or undefined where it is none. */
export function pointNamed(name: string): KillPoint | undefined {
  const [play = '', server = '', point = '', op = '', crossing = ''] = name.split('/')
  if (!isPoint(point)) return undefined
  return {
    play,
    at: {
      server: server === 'manager' ? server : Number(server),
      point,
      ...(op === '-' ? {} : { op: Number(op) }),
      crossing: Number(crossing),
    },
  }
}

function isPoint(point: string): point is Crossing['point'] {
  return point in FAULT_POINTS || syscallOf(point) !== undefined
}

function placeOf({ server, point, op }: Crossing): string {
  return `${server} ${point} ${op ?? '-'}`
}
