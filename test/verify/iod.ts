// An iod of the model: carries out the effects of its steps, as `startup.ts` and `iod.ts` do.

import { assert, unreachable } from '../../lib/base/assert.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { controlAtStart, stepControl } from '../../servers/iod/control-steps.js'
import {
  beginStart,
  type StartEffect,
  type StartEvent,
  stepStart,
} from '../../servers/iod/start-steps.js'
import { stepIod } from '../../servers/manager/iod-steps.js'
import {
  adding,
  at,
  connectionOf,
  type Draft,
  processOf,
  put,
  removing,
  setConnection,
  setFacts,
  setProcess,
  setSite,
  setTalk,
  setView,
} from './draft.js'
import { type Answer, type Connection, type Message, NOW, type Rules } from './world.js'

/** An iod is started on its directory. */
export function startIod(w: Draft, rules: Rules, iod: number): void {
  const { incarnation, obeyed } = at(w.sites, iod)
  const [start, effects] = beginStart(NOW)
  const control = controlAtStart({ epoch: obeyed, epochId: NO_ID }, NOW)
  setSite(w, iod, {
    incarnation: incarnation + 1,
    process: {
      start,
      // Without RECONCILE every connection of the manager is obeyed.
      control: rules.reconcile ? control : { ...control, connection: 0 },
      table: [],
      collected: [],
      snapshot: [],
      isSnapshotHeld: false,
      isHeld: false,
    },
  })
  performStart(w, rules, iod, effects)
}

/** An iod is killed: what it has sent may still arrive. */
export function killIod(w: Draft, iod: number): void {
  setSite(w, iod, { process: undefined })
  for (const { id } of at(w.wires, iod)) setConnection(w, iod, id, { isRead: false, toIod: [] })
  const { question, late } = at(w.talks, iod)
  const isOnItsWay = question?.state === 'sent'
  setTalk(w, iod, { question: undefined, late: isOnItsWay ? question : late })
}

/** One step of a start, with its effects. */
export function stepStartOf(w: Draft, rules: Rules, iod: number, event: StartEvent): void {
  const [start, effects] = stepStart(processOf(w, iod).start, event)
  setProcess(w, iod, { start })
  performStart(w, rules, iod, effects)
}

/** The iod gives up its question; it may arrive all the same. */
export function beSilent(w: Draft, rules: Rules, iod: number): void {
  const { question, late } = at(w.talks, iod)
  setTalk(w, iod, { question: undefined, late: question?.state === 'sent' ? question : late })
  stepStartOf(w, rules, iod, { kind: 'silent' })
}

/** The answer to its question has arrived. */
export function takeAnswer(w: Draft, rules: Rules, iod: number, answer: Answer): void {
  const { question } = at(w.talks, iod)
  setTalk(w, iod, { question: undefined })
  switch (answer.kind) {
    case 'told': {
      const { epoch, version, table, intents, isHeld } = answer
      setProcess(w, iod, { snapshot: table, isSnapshotHeld: isHeld })
      carryOut(w, iod, intents)
      stepStartOf(w, rules, iod, { kind: 'told', epoch, version })
      return stepStartOf(w, rules, iod, { kind: 'applied', at: NOW })
    }
    case 'go':
    case 'known':
      return stepStartOf(w, rules, iod, { kind: answer.kind })
    case 'again':
      return stepStartOf(w, rules, iod, { kind: 'again', at: NOW })
    case 'unknown':
      // READY is answered with an error where no connection could be made.
      if (question?.kind === 'ready') return stepStartOf(w, rules, iod, { kind: 'silent' })
      return stepStartOf(w, rules, iod, { kind: 'unknown', at: NOW })
    case 'refused':
      return stepStartOf(w, rules, iod, { kind: 'refused' })
    default:
      return unreachable(answer)
  }
}

function performStart(w: Draft, rules: Rules, iod: number, effects: readonly StartEffect[]): void {
  for (const effect of effects) {
    switch (effect.kind) {
      case 'sync':
        if (!rules.ready && processOf(w, iod).start.isListening) serveWithoutState(w, iod)
        else ask(w, iod, 'sync')
        break
      case 'commit':
        if (rules.commit) ask(w, iod, 'commit')
        else stepStartOf(w, rules, iod, { kind: 'go' })
        break
      case 'ready':
        if (rules.ready) ask(w, iod, 'ready')
        else beUp(w, rules, iod)
        break
      case 'heartbeat':
        if (rules.ready) ask(w, iod, 'heartbeat')
        else beatWithoutVersion(w, rules, iod)
        break
      case 'adopt':
        adopt(w, rules, iod, effect.epoch, effect.version)
        break
      case 'renew':
        renew(w, iod, effect.from)
        break
      case 'apply':
      case 'listen':
      case 'rest':
      case 'stop':
        break
      default:
        unreachable(effect)
    }
  }
}

function ask(w: Draft, iod: number, kind: 'sync' | 'commit' | 'ready' | 'heartbeat'): void {
  const { incarnation, applied } = at(w.sites, iod)
  const { start, control } = processOf(w, iod)
  const isBeat = kind === 'heartbeat' || kind === 'ready'
  const epoch = isBeat ? control.epoch : 0
  const version = isBeat ? control.version : kind === 'commit' ? start.version : 0
  const state = 'sent'
  const question = { kind, incarnation, epoch, version, applied, state, answer: undefined } as const
  setTalk(w, iod, { question })
}

function adopt(w: Draft, rules: Rules, iod: number, epoch: number, version: number): void {
  const said = { epoch, epochId: NO_ID, version }
  const [first, fences] = stepControl(processOf(w, iod).control, { kind: 'adopt', ...said })
  const isFenced = fences.some(({ kind }) => kind === 'fence')
  if (!isFenced) return stepStartOf(w, rules, iod, { kind: 'again', at: NOW })
  if (rules.mutant !== 'adopt-unfenced' && rules.reconcile) {
    for (const { id } of at(w.wires, iod)) setConnection(w, iod, id, { isRead: false, toIod: [] })
    setProcess(w, iod, { control: first })
  }
  const [second, effects] = stepControl(processOf(w, iod).control, {
    kind: 'adopted',
    ...said,
  })
  setProcess(w, iod, { control: second })
  if (!effects.some(({ kind }) => kind === 'replace'))
    return stepStartOf(w, rules, iod, { kind: 'again', at: NOW })
  const { snapshot, isSnapshotHeld } = processOf(w, iod)
  setProcess(w, iod, { table: snapshot, isHeld: isSnapshotHeld, snapshot: [] })
  setSite(w, iod, { obeyed: second.obeyed })
  stepStartOf(w, rules, iod, { kind: 'adopted', at: NOW })
}

function renew(w: Draft, iod: number, from: number): void {
  const [control] = stepControl(processOf(w, iod).control, { kind: 'renewed', from })
  setProcess(w, iod, { control })
}

/** The iod reads the next message of a connection. */
export function readMessage(w: Draft, rules: Rules, iod: number, id: number): void {
  const connection = connectionOf(w, iod, id)
  const message = connection?.toIod[0]
  assert(connection !== undefined && message !== undefined, 'no message')
  setConnection(w, iod, id, { toIod: connection.toIod.slice(1) })
  if (rules.mutant === 'renew-on-receipt') renew(w, iod, NOW)
  handle(w, rules, iod, connection, message)
}

function handle(w: Draft, rules: Rules, iod: number, { id }: Connection, message: Message): void {
  const connection = rules.reconcile ? id : 0
  const { control, collected, table } = processOf(w, iod)
  const capability = 'capability' in message ? message.capability : 0
  const reply = (kind: 'same' | 'want' | 'chunked' | 'done' | 'refused'): void => {
    const now = connectionOf(w, iod, id)
    if (now === undefined || !now.isBelieved) return
    const answer = { kind, to: message.kind, capability } as const
    setConnection(w, iod, id, { toManager: [...now.toManager, answer] })
  }
  switch (message.kind) {
    case 'reconcile':
      return reconcile(w, iod, id, message, reply)
    case 'chunk': {
      const { epoch, version, first, last } = message
      const event = { kind: 'chunk', connection, epoch, version, first, last } as const
      const [next, effects] = stepControl(control, event)
      setProcess(w, iod, { control: next })
      for (const effect of effects) {
        if (effect.kind === 'refuse') return reply('refused')
        const so = effect.kind === 'collect' && effect.first ? [] : collected
        if (effect.kind === 'collect') setProcess(w, iod, { collected: [...so, ...message.table] })
        if (effect.kind === 'replace')
          setProcess(w, iod, { table: processOf(w, iod).collected, collected: [] })
      }
      return reply('chunked')
    }
    case 'open':
    case 'close': {
      const { kind, version } = message
      const [next, effects] = stepControl(control, { kind, connection, version })
      setProcess(w, iod, { control: next })
      for (const effect of effects) {
        if (effect.kind === 'refuse') return reply('refused')
        const changed = effect.kind === 'install' ? adding : removing
        setProcess(w, iod, { table: changed(table, capability) })
      }
      return reply('done')
    }
    case 'hold':
    case 'release':
    case 'truncate': {
      const [, effects] = stepControl(control, { kind: 'other', connection })
      if (effects.some((effect) => effect.kind === 'refuse')) return reply('refused')
      if (message.kind === 'truncate') carryOut(w, iod, [message.sequence])
      setProcess(w, iod, { isHeld: message.kind === 'hold' })
      return reply('done')
    }
    default:
      return unreachable(message)
  }
}

function reconcile(
  w: Draft,
  iod: number,
  id: number,
  { epoch, version, intents, isHeld }: Message & { readonly kind: 'reconcile' },
  reply: (kind: 'same' | 'want' | 'refused') => void,
): void {
  const at1 = { kind: 'reconcile', connection: id, epoch, epochId: NO_ID, version } as const
  const [obeying, preparations] = stepControl(processOf(w, iod).control, at1)
  setProcess(w, iod, { control: obeying })
  if (preparations.some(({ kind }) => kind === 'refuse')) return reply('refused')
  setSite(w, iod, { obeyed: obeying.obeyed })
  for (const one of at(w.wires, iod))
    if (one.id !== id) setConnection(w, iod, one.id, { isRead: false, toIod: [] })
  carryOut(w, iod, intents)
  const [next, effects] = stepControl(obeying, { kind: 'prepared', connection: id, epoch, version })
  setProcess(w, iod, { control: next })
  for (const effect of effects) {
    if (effect.kind === 'refuse') return reply('refused')
    if (effect.kind === 'hold') setProcess(w, iod, { isHeld })
    if (effect.kind === 'answer') reply(effect.answer)
  }
}

// Each truncation once, in order; one that comes after a newer write is what must never be.
function carryOut(w: Draft, iod: number, intents: readonly number[]): void {
  for (const sequence of intents) {
    const { applied, written } = at(w.sites, iod)
    if (sequence <= applied) continue
    if (written >= sequence) setFacts(w, { wrong: 'CUT' })
    setSite(w, iod, { applied: sequence })
  }
}

// What follows is how the protocol goes without one of its rules.

// Without READY a manager learns that an iod is there when it calls it.
function beUp(w: Draft, rules: Rules, iod: number): void {
  if (w.manager !== undefined) {
    const view = at(w.views, iod)
    const [next] = stepIod(view, { kind: 'ready', incarnation: at(w.sites, iod).incarnation })
    setView(w, iod, next)
  }
  stepStartOf(w, rules, iod, { kind: 'known' })
}

function beatWithoutVersion(w: Draft, rules: Rules, iod: number): void {
  if (w.manager !== undefined) setView(w, iod, { ...at(w.views, iod), renewedAt: NOW })
  stepStartOf(w, rules, iod, { kind: 'known' })
}

// Without BEHIND an iod whose manager was silent serves from an empty table, and asks no more.
function serveWithoutState(w: Draft, iod: number): void {
  const { start, control } = processOf(w, iod)
  setProcess(w, iod, {
    start: { ...start, phase: 'resting', isSynced: true, isAnnounced: true },
    control: { ...control, known: true, leaseFrom: NOW },
  })
  const { incarnation } = at(w.sites, iod)
  w.disk = { ...w.disk, incarnations: put(w.disk.incarnations, iod, incarnation) }
  if (w.manager !== undefined)
    setView(w, iod, { ...at(w.views, iod), incarnation, phase: 'down', link: 'none' })
}
