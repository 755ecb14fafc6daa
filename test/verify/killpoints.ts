// `npm run verify:killpoints`: kills a server of a cluster of processes at each place where it writes, makes
// durable, removes or sends something, or has just received it, in each class of operations; starts it
// again, and looks whether the operation was done once, nothing is lost, and nothing is left.
//
//   -- [--points 500] [--seed S] [--play NAME] [--point NAME]
//
// Without --seed the points are chosen by the commit. A point that fails is printed as --point takes it.

import { Options } from '../support/options.js'
import { KillPlace } from './killpoints/place.js'
import { PLAYS, type Play } from './killpoints/plays.js'
import { type KillPoint, nameOf, pointNamed, pointsOf, shuffled } from './killpoints/points.js'
import { straceMissing } from './killpoints/strace.js'
import { seedOfRun } from './seed.js'

const options = new Options('verify:killpoints', {
  points: 'value',
  seed: 'value',
  play: 'value',
  point: 'value',
  verbose: 'flag',
})
const most = options.count('points', 500)
const onlyPlay = options.word('play', Object.keys(PLAYS))
const onlyPoint = pointAsked(options.text('point'))

const started = performance.now()
const seed = seedOfRun(options.seed())
const withoutCalls = await straceMissing()
if (withoutCalls !== undefined)
  console.log(`system calls are no points here, only places in our code: ${withoutCalls}`)
const start = { syscalls: withoutCalls === undefined }
let place = await KillPlace.start(start)
const failures: string[] = []
let died = 0
let unreached = 0
try {
  const points = onlyPoint === undefined ? await allPoints() : [onlyPoint]
  // Who comes first differs from time to time, so that some are not reached: then others are taken.
  for (const point of points) if (died < most) await tryPoint(point)
} finally {
  await place[Symbol.asyncDispose]()
}
const seconds = ((performance.now() - started) / 1000).toFixed(0)
console.log(`${died} points, ${unreached} not reached, ${seconds} s, seed ${seed}`)
console.log(`${died - failures.length} passed, ${failures.length} failed`)
if (failures.length > 0 || died === 0) process.exitCode = 1

// Every class is done once without a death, which tells what is crossed.
async function allPoints(): Promise<KillPoint[]> {
  const all: KillPoint[] = []
  // Once for nothing: connections that are made for the first time are no part of any class.
  await place.play({ kind: 'record' }, PLAYS['asking for space'] ?? (async () => {}))
  for (const [name, play] of plays()) {
    const { crossings } = await place.play({ kind: 'record' }, play)
    const points = pointsOf(name, crossings)
    if (points.length === 0) throw new Error(`${name}: it crosses nothing`)
    all.push(...points)
  }
  console.log(`${all.length} points in ${plays().length} classes`)
  return shuffled(all, seed)
}

function pointAsked(name: string | undefined): KillPoint | undefined {
  if (name === undefined) return undefined
  const point = pointNamed(name)
  if (point !== undefined && point.play in PLAYS) return point
  return options.wrong('point', `${JSON.stringify(name)} names no point, as a failure prints it`)
}

function plays(): [string, Play][] {
  return Object.entries(PLAYS).filter(([name]) => onlyPlay === undefined || name === onlyPlay)
}

async function tryPoint(point: KillPoint): Promise<void> {
  const name = nameOf(point)
  const play = PLAYS[point.play]
  if (play === undefined) throw new RangeError(`there is no class ${point.play}`)
  const begun = performance.now()
  try {
    const outcome = await place.play({ kind: 'kill', at: point.at }, play)
    if (outcome.died) died++
    else unreached++
    const what = outcome.died ? 'ok  ' : '-   '
    if (options.flag('verbose'))
      console.log(`${what} ${name} ${Math.round(performance.now() - begun)} ms`)
  } catch (error) {
    died++
    failures.push(name)
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    console.log(`FAIL ${name}: ${why}\n     ${place.logs().join('\n     ')}`)
    // What it has left is nobody else's business.
    await place[Symbol.asyncDispose]()
    place = await KillPlace.start(start)
  }
}
