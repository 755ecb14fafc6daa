// Worlds that differ in nothing that matters are one: numbers that are only compared are counted anew from the
// lowest, and what nobody will look at again is blanked. Else a run of restarts would make new worlds for ever.

import type { IodView } from '../../servers/manager/iod-steps.js'
import { at, type Draft, put, setConnection, setManager, setProcess, setTalk } from './draft.js'
import type { Answer, Call, Connection, Question, World } from './world.js'

/** The world that stands for all that are like this one. */
export function canonical(world: World): World {
  const w: Draft = { ...world }
  for (let iod = 0; iod < w.sites.length; iod++) {
    blank(w, iod)
    renumberConnections(w, iod)
    renumberVersions(w, iod)
  }
  return w
}

function blank(w: Draft, iod: number): void {
  const view = w.views[iod]
  if (view !== undefined) {
    const isReconciling = view.link === 'reconciling'
    const offered = isReconciling ? view.offered : 0
    const missed = isReconciling && view.missed > view.offered ? view.missed : 0
    if (offered !== view.offered || missed !== view.missed)
      w.views = put(w.views, iod, { ...view, offered, missed })
  }
  blankProcess(w, iod)
  const { manager } = w
  if (manager === undefined) return
  const entries = manager.entries.map((entry) => {
    const isNeeded = entry.progress.phase === 'recording'
    if (isNeeded || at(entry.versions, iod) === 0) return entry
    return { ...entry, versions: put(entry.versions, iod, 0) }
  })
  if (entries.some((entry, index) => entry !== manager.entries[index])) setManager(w, { entries })
}

function blankProcess(w: Draft, iod: number): void {
  const { process } = at(w.sites, iod)
  if (process === undefined) return
  const { start, control, snapshot, isSnapshotHeld } = process
  const { phase } = start
  const hasSnapshot = phase === 'applying' || phase === 'committing' || phase === 'adopting'
  const isCounting = hasSnapshot || phase === 'announcing' || phase === 'beating'
  const isSameEpoch = control.epoch === w.manager?.epoch
  const isNeeded = hasSnapshot && start.epoch === w.manager?.epoch
  const blanked = {
    start: {
      ...start,
      epoch: hasSnapshot ? start.epoch : 0,
      version: isNeeded ? start.version : 0,
      askedAt: isCounting ? start.askedAt : 0,
    },
    control: isSameEpoch ? control : { ...control, version: 0 },
    snapshot: hasSnapshot ? snapshot : NONE,
    isSnapshotHeld: hasSnapshot && isSnapshotHeld,
  }
  const isSame =
    blanked.start.epoch === start.epoch &&
    blanked.start.version === start.version &&
    blanked.start.askedAt === start.askedAt &&
    blanked.control.version === control.version &&
    blanked.snapshot.length === snapshot.length &&
    blanked.isSnapshotHeld === isSnapshotHeld
  if (!isSame) setProcess(w, iod, blanked)
}

const NONE: readonly number[] = []

function renumberConnections(w: Draft, iod: number): void {
  const ids = at(w.wires, iod).map(({ id }) => id)
  const idOf = (id: number): number => ids.indexOf(id) + 1
  const view = w.views[iod]
  const before = view?.generation
  if (view !== undefined && view.generation !== 2)
    w.views = put(w.views, iod, { ...view, generation: 2 })
  const isTidy = at(w.wires, iod).every(
    (one, index) => one.id === index + 1 && one.generation === generationOf(one, before),
  )
  if (!isTidy) {
    w.wires = put(
      w.wires,
      iod,
      at(w.wires, iod).map((one) => ({
        ...one,
        id: idOf(one.id),
        generation: generationOf(one, before),
      })),
    )
  }
  renumberUses(w, iod, idOf)
}

function generationOf({ isBelieved, generation }: Connection, present: number | undefined): number {
  if (!isBelieved) return 0
  return generation === present ? 2 : 1
}

function renumberUses(w: Draft, iod: number, idOf: (id: number) => number): void {
  const { process } = at(w.sites, iod)
  const obeyed = process?.control.connection
  if (process !== undefined && obeyed !== undefined && obeyed !== 0) {
    const connection = idOf(obeyed) === 0 ? undefined : idOf(obeyed)
    if (connection !== obeyed) setProcess(w, iod, { control: { ...process.control, connection } })
  }
  const { manager } = w
  if (manager === undefined) return
  const calls = manager.calls.map((call) => {
    const on = idOf(call.on)
    return call.iod === iod && call.on !== 0 && on !== call.on ? { ...call, on } : call
  })
  if (calls.some((call, index) => call !== manager.calls[index])) setManager(w, { calls })
}

// Versions are only compared, and the next one is above all: their order is all that counts.
function renumberVersions(w: Draft, iod: number): void {
  const versions = new Set<number>([0])
  eachVersion(w, iod, (version) => {
    versions.add(version)
    return version
  })
  const sorted = [...versions].sort((a, b) => a - b)
  if (sorted.every((version, index) => version === index)) return
  const rank = new Map(sorted.map((version, index) => [version, index]))
  eachVersion(w, iod, (version) => rank.get(version) ?? 0)
}

function eachVersion(w: Draft, iod: number, change: (version: number) => number): void {
  versionsOfView(w, iod, change)
  versionsOfProcess(w, iod, change)
  versionsOfWires(w, iod, change)
  versionsOfTalk(w, iod, change)
  versionsOfManager(w, iod, change)
}

function versionsOfView(w: Draft, iod: number, change: (version: number) => number): void {
  const view = w.views[iod]
  if (view === undefined) return
  const next: IodView = {
    ...view,
    version: change(view.version),
    acknowledged: change(view.acknowledged),
    agreed: change(view.agreed),
    covered: change(view.covered),
    missed: change(view.missed),
    offered: change(view.offered),
  }
  const isSame = FIELDS.every((field) => next[field] === view[field])
  if (!isSame) w.views = put(w.views, iod, next)
}

const FIELDS = ['version', 'acknowledged', 'agreed', 'covered', 'missed', 'offered'] as const

function versionsOfProcess(w: Draft, iod: number, change: (version: number) => number): void {
  const { process } = at(w.sites, iod)
  if (process === undefined) return
  const { start, control } = process
  const started = change(start.version)
  const controlled = change(control.version)
  const coming = control.incoming === undefined ? 0 : change(control.incoming.version)
  const isSame =
    started === start.version &&
    controlled === control.version &&
    coming === (control.incoming?.version ?? 0)
  if (isSame) return
  const incoming =
    control.incoming === undefined ? undefined : { ...control.incoming, version: coming }
  setProcess(w, iod, {
    start: { ...start, version: started },
    control: { ...control, version: controlled, incoming },
  })
}

function versionsOfWires(w: Draft, iod: number, change: (version: number) => number): void {
  for (const connection of at(w.wires, iod)) {
    const { id, epoch, version } = connection
    const now = epoch === w.manager?.epoch ? change : (): number => 0
    const toIod = connection.toIod.map((message) => {
      if (!('version' in message)) return message
      const next = now(message.version)
      return next === message.version ? message : { ...message, version: next }
    })
    const changed = now(version)
    const isSame = toIod.every((message, index) => message === connection.toIod[index])
    if (!isSame || changed !== version) setConnection(w, iod, id, { toIod, version: changed })
  }
}

function versionsOfTalk(w: Draft, iod: number, change: (version: number) => number): void {
  const { question, late } = at(w.talks, iod)
  const next = question === undefined ? undefined : versionOfQuestion(question, change)
  const nextLate = late === undefined ? undefined : versionOfQuestion(late, change)
  if (next !== question || nextLate !== late) setTalk(w, iod, { question: next, late: nextLate })
}

function versionOfQuestion(question: Question, change: (version: number) => number): Question {
  const version = change(question.version)
  const answer =
    question.answer === undefined ? undefined : versionOfAnswer(question.answer, change)
  if (version === question.version && answer === question.answer) return question
  return { ...question, version, answer }
}

function versionOfAnswer(answer: Answer, change: (version: number) => number): Answer {
  if (answer.kind !== 'told') return answer
  const version = change(answer.version)
  return version === answer.version ? answer : { ...answer, version }
}

function versionsOfManager(w: Draft, iod: number, change: (version: number) => number): void {
  const { manager } = w
  if (manager === undefined) return
  const calls = manager.calls.map((call) => {
    if (call.iod !== iod || !hasVersion(call)) return call
    const version = change(call.version)
    return version === call.version ? call : { ...call, version }
  })
  const entries = manager.entries.map((entry) => {
    const version = change(at(entry.versions, iod))
    if (version === entry.versions[iod]) return entry
    return { ...entry, versions: put(entry.versions, iod, version) }
  })
  const isSame =
    calls.every((call, index) => call === manager.calls[index]) &&
    entries.every((entry, index) => entry === manager.entries[index])
  if (!isSame) setManager(w, { calls, entries })
}

function hasVersion({ kind }: Call): boolean {
  return kind === 'open' || kind === 'withdraw' || kind === 'end'
}
