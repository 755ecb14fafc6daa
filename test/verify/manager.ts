// The manager of the model: carries out the effects of its steps, as `iods.ts` and what it is made of, `opens.ts` and `files.ts` do.

import { assert, unreachable } from '../../lib/base/assert.js'
import { beginCut, type CutEffect, stepCut } from '../../servers/manager/cut-steps.js'
import {
  type IodEffect,
  type IodEvent,
  type IodView,
  iodAtStart,
  isComing,
  NO_GENERATION,
  stepIod,
} from '../../servers/manager/iod-steps.js'
import {
  beginOpen,
  isTold,
  type OpenEffect,
  type OpenEvent,
  type OpenProgress,
  resumeOpen,
  stepOpen,
} from '../../servers/manager/open-steps.js'
import {
  adding,
  at,
  believed,
  connectionOf,
  type Draft,
  managerOf,
  put,
  setClient,
  setConnection,
  setFacts,
  setManager,
  setTalk,
  setView,
} from './draft.js'
import {
  type Answer,
  type Call,
  type Confirm,
  type Connection,
  type Entry,
  NOW,
  type Question,
  type Rules,
  type Setup,
  TRIES_MAX,
  type World,
} from './world.js'

/** What the manager would tell an iod of its opens. */
export function tableFor({ manager }: World, rules: Rules, iod: number): number[] {
  const isIn = rules.mutant === 'late-record' ? isFinished : isTold
  const told = (manager?.entries ?? []).filter(
    ({ progress }) => isIn(progress) && progress.iods.includes(iod),
  )
  return told.map(({ capability }) => capability).sort((a, b) => a - b)
}

function isFinished({ phase }: OpenProgress): boolean {
  return phase === 'open' || phase === 'ending' || phase === 'closing'
}

/** Truncations that an iod must still carry out, as far as the manager knows that they are decided. */
export function intentsFor({ manager, disk }: World, iod: number): number[] {
  const undecided = manager?.confirms.some(({ kind }) => kind === 'decided') ?? false
  return disk.intents
    .filter((intent) => intent.iod === iod && !(undecided && intent.sequence === disk.decided))
    .map(({ sequence }) => sequence)
}

/** One step of a view; returns the effects that the caller carries out. */
export function stepView(w: Draft, rules: Rules, iod: number, event: IodEvent): IodEffect[] {
  const before = at(w.views, iod)
  const keeps = rules.mutant === 'missed-connected' && isAboutLoss(event)
  const [view, effects] = keeps ? keepingLink(before, event) : stepIod(before, event)
  setView(w, iod, view)
  const left: IodEffect[] = []
  for (const effect of effects) {
    if (effect.kind === 'disconnect') {
      // One that is just being made goes on, and finds itself outdated.
      const connection = believed(w, iod)
      if (before.link === 'open' && connection?.generation === before.generation)
        drop(w, rules, iod, connection)
    } else if (effect.kind === 'connect') {
      setManager(w, { wants: put(managerOf(w).wants, iod, true) })
    } else if (effect.kind !== 'wake') left.push(effect)
  }
  return left
}

function isAboutLoss({ kind }: IodEvent): boolean {
  return kind === 'missed' || kind === 'unanswered'
}

function keepingLink(before: IodView, event: IodEvent): readonly [IodView, readonly IodEffect[]] {
  const [{ link, ...view }] = stepIod(before, event)
  return [{ ...view, link: link === 'none' ? before.link : link }, []]
}

/** The manager reads a connection no more; its calls are sent again once, then given up. */
export function drop(w: Draft, rules: Rules, iod: number, { id, incarnation }: Connection): void {
  setConnection(w, iod, id, { isBelieved: false, toManager: [] })
  for (const call of managerOf(w).calls) {
    if (call.iod !== iod || call.state !== 'sent' || call.on !== id) continue
    if (call.isResent) fail(w, rules, call, incarnation)
    else replaceCall(w, call, { ...call, state: 'ready', on: 0, isResent: true })
  }
}

/** A call got no answer, however often it was sent. One that must reach the iod is begun again. */
export function fail(w: Draft, rules: Rules, call: Call, incarnation: number): void {
  const mustReach = call.kind === 'open' || call.kind === 'hold'
  if (mustReach) replaceCall(w, call, { ...call, state: 'ready', on: 0, isResent: false })
  else replaceCall(w, call, undefined)
  const { generation } = at(w.views, call.iod)
  stepView(w, rules, call.iod, { kind: 'unanswered', incarnation, generation })
  if (!mustReach) miss(w, rules, call)
}

/** The deadline of a call that waits for its iod has passed. */
export function giveUp(w: Draft, rules: Rules, call: Call): void {
  const { incarnation } = at(w.views, call.iod)
  replaceCall(w, call, undefined)
  const generation = NO_GENERATION
  stepView(w, rules, call.iod, { kind: 'unanswered', incarnation, generation })
  if (call.kind === 'open') stepOpenOf(w, rules, call.capability, { kind: 'untold', iod: call.iod })
  else if (call.kind === 'hold') stepCutOf(w, rules, { kind: 'unheld', iod: call.iod })
  else miss(w, rules, call)
}

// The iod was not told: it gets the whole table with its next connection.
function miss(w: Draft, rules: Rules, call: Call): void {
  const { iod, capability } = call
  if (call.kind === 'truncate') return stepCutOf(w, rules, { kind: 'tried', iod })
  stepView(w, rules, iod, { kind: 'missed' })
  const { version } = at(w.views, iod)
  if (call.kind === 'release') stepCutOf(w, rules, { kind: 'tried', iod })
  else if (call.kind === 'withdraw') stepOpenOf(w, rules, capability, { kind: 'released', iod })
  else addCall(w, { ...call, version, state: 'releasing', on: 0 })
}

/** An iod has done what a call asked for. */
export function done(w: Draft, rules: Rules, call: Call, incarnation: number): void {
  const { kind, iod, capability, version } = call
  replaceCall(w, call, undefined)
  switch (kind) {
    case 'open':
      stepView(w, rules, iod, { kind: 'acknowledged', incarnation, version })
      return stepOpenOf(w, rules, capability, { kind: 'told', iod })
    case 'withdraw':
    case 'end':
      stepView(w, rules, iod, { kind: 'acknowledged', incarnation, version })
      return stepOpenOf(w, rules, capability, { kind: 'released', iod })
    case 'hold':
      return stepCutOf(w, rules, { kind: 'held', iod })
    case 'truncate':
      intentsDone(w, iod, version)
      return stepCutOf(w, rules, { kind: 'tried', iod })
    case 'release':
      return stepCutOf(w, rules, { kind: 'tried', iod })
    default:
      return unreachable(kind)
  }
}

/** An iod has carried out everything up to a number. */
export function intentsDone(w: Draft, iod: number, applied: number): void {
  const intents = w.disk.intents.filter((one) => one.iod !== iod || one.sequence > applied)
  if (intents.length < w.disk.intents.length) w.disk = { ...w.disk, intents }
}

/** One step of an open, with its effects. */
export function stepOpenOf(w: Draft, rules: Rules, capability: number, event: OpenEvent): void {
  const entry = managerOf(w).entries.find((one) => one.capability === capability)
  if (entry === undefined) return
  const [progress, effects] = stepOpen(entry.progress, event)
  perform(w, rules, { ...entry, progress }, effects)
}

function perform(w: Draft, rules: Rules, entry: Entry, effects: readonly OpenEffect[]): void {
  const { capability, client, progress } = entry
  replaceEntry(w, entry, progress.phase === 'gone' ? undefined : entry)
  for (const effect of effects) {
    switch (effect.kind) {
      case 'record':
        if (effect.state === 'closing' && rules.mutant === 'forget-closing')
          setRecord(w, capability, client, undefined)
        else setRecord(w, capability, client, effect.state)
        confirmLater(w, { kind: 'recorded', capability, iod: 0 })
        break
      case 'tell': {
        const { iod } = effect
        const version = at(entry.versions, iod)
        addCall(w, { kind: 'open', capability, iod, version, ...NEW_CALL })
        break
      }
      case 'finish':
        setRecord(w, capability, client, 'open')
        confirmLater(w, { kind: 'finished', capability, iod: 0 })
        break
      case 'erase':
        if (progress.phase === 'undoing') {
          setRecord(w, capability, client, undefined)
          confirmLater(w, { kind: 'erased', capability, iod: 0 })
        } else confirmLater(w, { kind: 'forgotten', capability, iod: 0 })
        break
      case 'withdraw':
      case 'end': {
        const { kind, iod } = effect
        stepView(w, rules, iod, { kind: 'changed' })
        const { version, phase } = at(w.views, iod)
        const call: Call = { kind, capability, iod, version, ...NEW_CALL }
        if (phase === 'up') addCall(w, call)
        else miss(w, rules, call)
        break
      }
      case 'answer':
        answerClient(w, rules, entry, effect.outcome)
        break
      default:
        unreachable(effect)
    }
  }
}

function answerClient(
  w: Draft,
  rules: Rules,
  { capability, client, isCondemned }: Entry,
  outcome: 'opened' | 'failed' | 'closed',
): void {
  const { phase, capability: expected, isAsked } = at(w.clients, client)
  const isMine = isAsked && expected === capability
  if (outcome === 'closed') {
    setFacts(w, { ended: adding(w.facts.ended, capability) })
    if (isMine && phase === 'closing') setClient(w, client, { phase: 'closed', isAsked: false })
    return
  }
  if (outcome === 'failed') setFacts(w, { failed: adding(w.facts.failed, capability) })
  if (isMine && phase === 'asking')
    setClient(w, client, { phase: outcome === 'opened' ? 'open' : 'failed', isAsked: false })
  if (outcome === 'opened' && isCondemned) stepOpenOf(w, rules, capability, { kind: 'close' })
}

/** The turn of an open has come. */
export function beginFor(w: Draft, setup: Setup, client: number): void {
  const { rules } = setup
  const { queue, ended } = managerOf(w)
  setManager(w, { queue: queue.filter((one) => one !== client) })
  if (ended.includes(client) && rules.mutant !== 'late-session') return
  const { capability } = at(w.clients, client)
  const iods = Array.from({ length: setup.iods }, (_, iod) => iod)
  const versions = iods.map((iod) => {
    stepView(w, rules, iod, { kind: 'changed' })
    return at(w.views, iod).version
  })
  const [progress, effects] = beginOpen(iods)
  perform(w, rules, { capability, client, progress, versions, isCondemned: false }, effects)
}

/** A client asks to close, perhaps once more. */
export function closeFor(w: Draft, rules: Rules, client: number): void {
  const { capability } = at(w.clients, client)
  setClient(w, client, { phase: 'closing', isAsked: true })
  const entry = managerOf(w).entries.find((one) => one.capability === capability)
  const isEnding = entry?.progress.phase === 'ending' || entry?.progress.phase === 'closing'
  if (entry === undefined || (isEnding && rules.mutant === 'close-twice')) {
    setFacts(w, { ended: adding(w.facts.ended, capability) })
    setClient(w, client, { phase: 'closed', isAsked: false })
    return
  }
  stepOpenOf(w, rules, capability, { kind: 'close' })
}

/** The session of a dead client is over: its opens are closed, those that have not come so far as soon as they have. */
export function endSession(w: Draft, rules: Rules, client: number): void {
  setManager(w, { ended: adding(managerOf(w).ended, client) })
  for (const entry of managerOf(w).entries) {
    if (entry.client !== client) continue
    if (entry.progress.phase === 'open') stepOpenOf(w, rules, entry.capability, { kind: 'close' })
    else replaceEntry(w, entry, { ...entry, isCondemned: true })
  }
}

/** The store has written something, and the manager hears of it. */
export function confirm(w: Draft, rules: Rules, one: Confirm, { fails = false } = {}): void {
  setManager(w, { confirms: managerOf(w).confirms.filter((other) => other !== one) })
  const { kind, capability, iod } = one
  switch (kind) {
    case 'recorded':
    case 'erased':
      return stepOpenOf(w, rules, capability, { kind })
    case 'finished':
      if (!fails) return stepOpenOf(w, rules, capability, { kind })
      setRecord(w, capability, Math.floor(capability / TRIES_MAX), 'opening')
      return stepOpenOf(w, rules, capability, { kind: 'unfinished' })
    case 'forgotten':
      return setRecord(w, capability, 0, undefined)
    case 'decided':
      return stepCutOf(w, rules, { kind })
    case 'incarnation': {
      const effects = stepView(w, rules, iod, { kind: 'recorded', incarnation: capability })
      return answerWith(w, rules, iod, capability, effects)
    }
    default:
      return unreachable(kind)
  }
}

/** An open file is to be cut. */
export function beginCutFor(w: Draft, setup: Setup): void {
  const iods = Array.from({ length: setup.iods }, (_, iod) => iod)
  const [cut, effects] = beginCut(iods)
  setManager(w, { cut })
  if (setup.rules.mutant !== 'truncate-unheld') return performCut(w, setup.rules, effects)
  for (const iod of iods) stepCutOf(w, setup.rules, { kind: 'held', iod })
}

function stepCutOf(w: Draft, rules: Rules, event: Parameters<typeof stepCut>[1]): void {
  const { cut } = managerOf(w)
  if (cut === undefined) return
  const [next, effects] = stepCut(cut, event)
  setManager(w, { cut: next })
  performCut(w, rules, effects)
}

function performCut(w: Draft, rules: Rules, effects: readonly CutEffect[]): void {
  const iods = managerOf(w).cut?.iods ?? []
  for (const effect of effects) {
    switch (effect.kind) {
      case 'keepHeld':
        setManager(w, { isHeld: true })
        break
      case 'letGo':
        if (rules.mutant !== 'hold-too-long') setManager(w, { isHeld: false })
        break
      case 'hold':
        addCall(w, { kind: 'hold', capability: 0, iod: effect.iod, version: 0, ...NEW_CALL })
        break
      case 'decide': {
        const sequence = w.disk.decided + 1
        const wishes = iods.map((iod) => ({ iod, sequence }))
        w.disk = { ...w.disk, decided: sequence, intents: [...w.disk.intents, ...wishes] }
        confirmLater(w, { kind: 'decided', capability: 0, iod: 0 })
        break
      }
      case 'cut':
      case 'release': {
        const { iod } = effect
        const kind = effect.kind === 'cut' ? 'truncate' : 'release'
        const version = kind === 'truncate' ? w.disk.decided : 0
        const call: Call = { kind, capability: 0, iod, version, ...NEW_CALL }
        if (at(w.views, iod).phase === 'up') addCall(w, call)
        else miss(w, rules, call)
        break
      }
      case 'answer':
        setManager(w, { cut: undefined, isHeld: false })
        break
      default:
        unreachable(effect)
    }
  }
}

/** Answers a question of an iod with what a step of its view said; a question that is given up is answered in vain. */
export function answerWith(
  w: Draft,
  rules: Rules,
  iod: number,
  incarnation: number,
  effects: readonly IodEffect[],
): void {
  for (const effect of effects) {
    const answer = answerOf(w, rules, iod, effect)
    if (answer !== undefined) give(w, iod, incarnation, answer)
  }
}

function answerOf(w: Draft, rules: Rules, iod: number, effect: IodEffect): Answer | undefined {
  switch (effect.kind) {
    case 'snapshot':
      return {
        kind: 'told',
        epoch: managerOf(w).epoch,
        version: effect.version,
        table: tableFor(w, rules, iod),
        intents: intentsFor(w, iod),
        isHeld: managerOf(w).isHeld,
      }
    case 'go':
    case 'again':
      return { kind: effect.kind }
    case 'answer':
      return { kind: effect.known ? 'known' : 'unknown' }
    case 'refuse':
      return { kind: 'refused' }
    default:
      return undefined
  }
}

function give(w: Draft, iod: number, incarnation: number, answer: Answer): void {
  const { question } = at(w.talks, iod)
  if (question?.state !== 'held' || question.incarnation !== incarnation) return
  setTalk(w, iod, { question: { ...question, state: 'answered', answer } })
}

/** A question of an iod has arrived. */
export function hear(w: Draft, rules: Rules, iod: number, question: Question): void {
  const { incarnation, version, applied } = question
  const take = (event: IodEvent): void =>
    answerWith(w, rules, iod, incarnation, stepView(w, rules, iod, event))
  switch (question.kind) {
    case 'sync': {
      if (!rules.commit) return answerAtOnce(w, rules, iod, incarnation)
      const effects = stepView(w, rules, iod, { kind: 'sync', incarnation })
      const isNew = effects.some(({ kind }) => kind === 'remember')
      if (!isNew) return answerWith(w, rules, iod, incarnation, effects)
      intentsDone(w, iod, applied)
      w.disk = { ...w.disk, incarnations: put(w.disk.incarnations, iod, incarnation) }
      const kind = 'incarnation'
      const { confirms } = managerOf(w)
      const isAwaited = confirms.some(
        (one) => one.kind === kind && one.iod === iod && one.capability === incarnation,
      )
      if (!isAwaited) confirmLater(w, { kind, capability: incarnation, iod })
      return
    }
    case 'commit': {
      if (at(w.views, iod).incarnation === incarnation) intentsDone(w, iod, applied)
      const idle = intentsFor(w, iod).length === 0
      return take({ kind: 'commit', incarnation, version, idle, at: NOW })
    }
    case 'ready':
      return take({ kind: 'ready', incarnation })
    case 'heartbeat': {
      const { epoch } = managerOf(w)
      const sameEpoch = question.epoch === epoch
      if (rules.mutant === 'renew-behind') give(w, iod, incarnation, { kind: 'known' })
      return take({ kind: 'heartbeat', incarnation, sameEpoch, version, at: NOW })
    }
    default:
      return unreachable(question.kind)
  }
}

// Without COMMIT a start is asked nothing more, and what an older one still says is believed.
function answerAtOnce(w: Draft, rules: Rules, iod: number, incarnation: number): void {
  const view = at(w.views, iod)
  setView(w, iod, { ...view, incarnation })
  w.disk = { ...w.disk, incarnations: put(w.disk.incarnations, iod, incarnation) }
  answerWith(w, rules, iod, incarnation, [{ kind: 'snapshot', version: view.version }])
}

/** The manager is killed: what it had in memory is gone, what it has sent may still arrive. */
export function kill(w: Draft, rules: Rules, { isAnswerLost }: { isAnswerLost: boolean }): void {
  w.manager = undefined
  w.views = []
  w.clients = w.clients.map((client) => (client.isAsked ? { ...client, isAsked: false } : client))
  for (const [iod, connections] of w.wires.entries())
    for (const { id } of connections)
      setConnection(w, iod, id, { isBelieved: false, toManager: [] })
  w.talks = w.talks.map((talk) => {
    const { question } = talk
    const isBack = question?.state === 'held' || (isAnswerLost && question?.state === 'answered')
    if (question === undefined || !isBack) return talk
    return { ...talk, question: { ...question, state: 'sent', answer: undefined } }
  })
  if (!rules.durable) w.disk = { ...w.disk, records: [], intents: [] }
}

/** A manager starts with what the one before it has left. */
export function start(w: Draft, setup: Setup): void {
  const epoch = w.disk.epoch + 1
  w.disk = { ...w.disk, epoch }
  w.views = w.disk.incarnations.map((incarnation) => iodAtStart(incarnation, NOW))
  const wants = w.views.map(() => false)
  w.manager = {
    epoch,
    entries: [],
    calls: [],
    confirms: [],
    queue: [],
    wants,
    ended: [],
    cut: undefined,
    isHeld: false,
  }
  const iods = w.views.map((_, iod) => iod)
  for (const { capability, client, state } of w.disk.records) {
    const [progress, effects] = resumeOpen(state, iods)
    const versions = iods.map(() => 0)
    const entry: Entry = { capability, client, progress, versions, isCondemned: false }
    if (state === 'opening') setRecord(w, capability, client, undefined)
    else perform(w, setup.rules, entry, effects)
  }
}

/** Whether an iod may be called now; a `down` one may have been there all along. */
export function mayCall({ views, manager }: World, call: Call): boolean {
  return manager !== undefined && call.state === 'ready' && !isComing(at(views, call.iod))
}

/** Sends a call on the open connection; nobody may be at its other end. */
export function send(w: Draft, call: Call, connection: Connection): void {
  replaceCall(w, call, { ...call, state: 'sent', on: connection.id })
  if (!connection.isRead) return
  const { toIod } = connection
  setConnection(w, call.iod, connection.id, { toIod: [...toIod, messageOf(call)] })
}

function messageOf({ kind, capability, version }: Call): Connection['toIod'][number] {
  switch (kind) {
    case 'open':
      return { kind, version, capability }
    case 'withdraw':
    case 'end':
      return { kind: 'close', version, capability }
    case 'hold':
    case 'release':
      return { kind }
    case 'truncate':
      return { kind, sequence: version }
    default:
      return unreachable(kind)
  }
}

/** A connection to an iod is made, unless the view refuses it. */
export function dial(w: Draft, setup: Setup, iod: number): void {
  const { rules } = setup
  const { incarnation } = at(w.sites, iod)
  const { epoch, wants } = managerOf(w)
  setManager(w, { wants: put(wants, iod, false) })
  const effects = stepView(w, rules, iod, { kind: 'connected', incarnation })
  if (effects.some(({ kind }) => kind === 'refuse')) return
  const { generation } = at(w.views, iod)
  const id = 1 + Math.max(0, ...at(w.wires, iod).map((one) => one.id))
  // A hello fences what the same manager had before.
  if (rules.reconcile)
    for (const one of at(w.wires, iod))
      if (one.epoch === epoch) setConnection(w, iod, one.id, { isRead: false, toIod: [] })
  const connection: Connection = {
    id,
    epoch,
    generation,
    incarnation,
    isBelieved: true,
    isRead: true,
    toIod: [],
    toManager: [],
    table: [],
    version: 0,
    intents: [],
  }
  w.wires = put(w.wires, iod, [...at(w.wires, iod), connection])
  reconcileAgain(w, rules, iod, id, effects)
}

/** Says RECONCILE where a step wants it; true if it refused the connection. */
export function reconcileAgain(
  w: Draft,
  rules: Rules,
  iod: number,
  id: number,
  effects: readonly IodEffect[],
): boolean {
  for (const effect of effects) {
    if (effect.kind === 'refuse') return true
    if (effect.kind !== 'reconcile') continue
    if (!rules.reconcile) {
      const { generation } = effect
      stepView(w, rules, iod, { kind: 'reconciled', generation, complete: true })
      continue
    }
    const { epoch, isHeld } = managerOf(w)
    const { version } = effect
    const intents = intentsFor(w, iod)
    const connection = connectionOf(w, iod, id)
    assert(connection !== undefined, 'the connection is gone')
    const said = { kind: 'reconcile', epoch, version, intents, isHeld } as const
    const table = tableFor(w, rules, iod)
    const toIod = connection.isRead ? [...connection.toIod, said] : connection.toIod
    setConnection(w, iod, id, { toIod, table, version, intents })
  }
  return false
}

/** The manager reads the next reply of a connection. */
export function read(w: Draft, setup: Setup, iod: number, connection: Connection): void {
  const { rules } = setup
  const [reply, ...toManager] = connection.toManager
  assert(reply !== undefined, 'no reply')
  const { id, incarnation, generation } = connection
  setConnection(w, iod, id, { toManager })
  switch (reply.kind) {
    case 'refused':
      return lose(w, rules, iod, connection)
    case 'want':
    case 'chunked':
      intentsDone(w, iod, lastOf(connection.intents))
      if (reply.kind === 'want' || connection.table.length > 0)
        return sendChunk(w, setup, iod, { ...connection, toManager }, reply.kind === 'want')
      return reconciled(w, rules, iod, connection, generation)
    case 'same':
      intentsDone(w, iod, lastOf(connection.intents))
      return reconciled(w, rules, iod, connection, generation)
    case 'done': {
      const call = managerOf(w).calls.find(
        (one) =>
          one.iod === iod &&
          one.on === id &&
          one.capability === reply.capability &&
          messageOf(one).kind === reply.to,
      )
      if (call !== undefined) done(w, rules, call, incarnation)
      return
    }
    default:
      return unreachable(reply.kind)
  }
}

function lastOf(numbers: readonly number[]): number {
  return numbers.at(-1) ?? 0
}

function reconciled(
  w: Draft,
  rules: Rules,
  iod: number,
  connection: Connection,
  generation: number,
): void {
  const complete = intentsFor(w, iod).length === 0
  const effects = stepView(w, rules, iod, { kind: 'reconciled', generation, complete })
  if (reconcileAgain(w, rules, iod, connection.id, effects)) lose(w, rules, iod, connection)
}

function sendChunk(
  w: Draft,
  { chunk }: Setup,
  iod: number,
  connection: Connection,
  first: boolean,
): void {
  const { id, table, version, toIod, isRead } = connection
  const records = table.slice(0, chunk)
  const rest = table.slice(chunk)
  const last = rest.length === 0
  const said = {
    kind: 'chunk',
    epoch: connection.epoch,
    version,
    first,
    last,
    table: records,
  } as const
  setConnection(w, iod, id, { table: rest, toIod: isRead ? [...toIod, said] : toIod })
}

/** A connection has ended, as the manager sees it. */
export function lose(w: Draft, rules: Rules, iod: number, connection: Connection): void {
  drop(w, rules, iod, connection)
  stepView(w, rules, iod, { kind: 'lost', generation: connection.generation })
}

const NEW_CALL = { state: 'ready', on: 0, isResent: false } as const

function addCall(w: Draft, call: Call): void {
  const calls = [...managerOf(w).calls, call].sort(
    (a, b) => a.capability - b.capability || a.iod - b.iod,
  )
  setManager(w, { calls })
}

function replaceCall(w: Draft, call: Call, by: Call | undefined): void {
  const { calls } = managerOf(w)
  setManager(w, {
    calls: calls.flatMap((one) => (one !== call ? [one] : by === undefined ? [] : [by])),
  })
}

function replaceEntry(w: Draft, { capability }: Entry, by: Entry | undefined): void {
  const others = managerOf(w).entries.filter((one) => one.capability !== capability)
  const entries = by === undefined ? others : [...others, by]
  setManager(w, { entries: entries.sort((a, b) => a.capability - b.capability) })
}

function setRecord(
  w: Draft,
  capability: number,
  client: number,
  state: 'opening' | 'open' | 'closing' | undefined,
): void {
  const others = w.disk.records.filter((one) => one.capability !== capability)
  const records = state === undefined ? others : [...others, { capability, client, state }]
  w.disk = { ...w.disk, records: records.sort((a, b) => a.capability - b.capability) }
}

function confirmLater(w: Draft, one: Confirm): void {
  const confirms = [...managerOf(w).confirms, one].sort(
    (a, b) => a.capability - b.capability || a.iod - b.iod,
  )
  setManager(w, { confirms })
}
