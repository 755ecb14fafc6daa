// Everything that can happen next. A move of `progress` happens by itself sooner or later; the others are faults,
// what users choose to do, and what may arrive late or never. A state without progress is quiescent.

import { isServing } from '../../servers/iod/control-steps.js'
import { isCurrent, isReleased } from '../../servers/manager/iod-steps.js'
import {
  at,
  believed,
  type Draft,
  managerOf,
  processOf,
  put,
  setClient,
  setFacts,
  setManager,
  setProcess,
  setSite,
  setTalk,
  setView,
  spend,
} from './draft.js'
import { beSilent, killIod, readMessage, startIod, stepStartOf, takeAnswer } from './iod.js'
import {
  answerWith,
  beginCutFor,
  beginFor,
  closeFor,
  confirm,
  dial,
  endSession,
  fail,
  giveUp,
  hear,
  kill,
  lose,
  mayCall,
  read,
  send,
  start,
  stepOpenOf,
  stepView,
} from './manager.js'
import { type Call, LEASE, NOW, type Setup, TRIES_MAX, type World } from './world.js'

/** Takes one move: what it is called, whether it happens by itself, and the world after it. */
export type Emit = (label: string, isProgress: boolean, change: (w: Draft) => void) => void

/** Names every move that is possible in a world. */
export function movesOf(setup: Setup, world: World, emit: Emit): void {
  world.clients.forEach((_, client) => clientMoves(setup, world, client, emit))
  if (world.manager === undefined) emit('the manager starts', true, (w) => start(w, setup))
  else managerMoves(setup, world, emit)
  world.sites.forEach((_, iod) => iodMoves(setup, world, iod, emit))
}

function clientMoves(setup: Setup, world: World, client: number, emit: Emit): void {
  const { phase, capability, isAsked } = at(world.clients, client)
  const { rules } = setup
  const name = `client ${client}`
  const isThere = world.manager !== undefined
  const queue = (w: Draft): void =>
    setManager(w, { queue: [...managerOf(w).queue, client].sort((a, b) => a - b) })
  // Clients are alike: the first one asks first.
  const isNext = client === 0 || at(world.clients, client - 1).phase !== 'idle'
  if (phase === 'idle' && isNext && isThere) {
    emit(`${name} asks to open`, false, (w) => {
      setClient(w, client, { phase: 'asking', capability: client * TRIES_MAX, isAsked: true })
      queue(w)
    })
  }
  if (phase === 'asking' && !isAsked && isThere) {
    emit(`${name} asks again, of a new manager`, true, (w) => {
      setClient(w, client, { capability: capability + 1, isAsked: true })
      queue(w)
    })
  }
  if (phase === 'open' && isThere) emit(`${name} closes`, false, (w) => closeFor(w, rules, client))
  if (phase === 'closing' && isThere)
    emit(`${name} closes once more`, !isAsked, (w) => closeFor(w, rules, client))
  if (
    phase === 'open' &&
    world.facts.budget.cuts > 0 &&
    world.manager?.cut === undefined &&
    isThere
  )
    emit(`${name} truncates`, false, (w) => {
      spend(w, 'cuts')
      beginCutFor(w, setup)
    })
  const mayDie = phase === 'asking' || phase === 'open' || phase === 'closing'
  if (mayDie && world.facts.budget.clientKills > 0)
    emit(`${name} DIES`, false, (w) => {
      spend(w, 'clientKills')
      setClient(w, client, { phase: 'dead', isAsked: false })
    })
  if (phase === 'dead' && world.manager !== undefined && !world.manager.ended.includes(client))
    emit(`the session of ${name} ends`, true, (w) => endSession(w, rules, client))
}

function managerMoves(setup: Setup, world: World, emit: Emit): void {
  const { rules } = setup
  const { budget } = world.facts
  const manager = managerOf(world)
  for (const client of manager.queue)
    emit(`manager: it is the turn of client ${client}`, true, (w) => beginFor(w, setup, client))
  for (const one of manager.confirms) {
    emit(`manager: ${one.kind} ${one.capability}`, true, (w) => confirm(w, rules, one))
    if (one.kind === 'finished' && budget.conflicts > 0)
      emit(`manager: the name was taken, ${one.capability} fails`, false, (w) => {
        spend(w, 'conflicts')
        confirm(w, rules, one, { fails: true })
      })
  }
  for (const call of manager.calls) callMoves(setup, world, call, emit)
  if (budget.managerKills > 0) {
    const isAnswered = world.talks.some(({ question }) => question?.state === 'answered')
    for (const isAnswerLost of isAnswered ? [false, true] : [false])
      emit(`MANAGER SIGKILL${isAnswerLost ? ', its answers are lost' : ''}`, false, (w) => {
        spend(w, 'managerKills')
        kill(w, rules, { isAnswerLost })
      })
  }
}

function callMoves(setup: Setup, world: World, call: Call, emit: Emit): void {
  const { rules } = setup
  const { kind, iod, capability } = call
  const view = at(world.views, iod)
  const name = `${kind} ${capability} for iod ${iod}`
  const connection = believed(world, iod)
  const isOpen = connection !== undefined && view.link === 'open'
  if (call.state === 'ready' && isOpen && mayCall(world, call))
    emit(`manager sends ${name}`, true, (w) => send(w, call, connection))
  if (call.state === 'ready' && !isOpen)
    emit(`manager gives up ${name}`, true, (w) => giveUp(w, rules, call))
  if (call.state === 'sent') {
    const isCut = at(world.facts.isCut, iod)
    if (isCut || world.facts.budget.timeouts > 0)
      emit(`manager waits no longer for ${name}`, false, (w) => {
        if (!isCut) spend(w, 'timeouts')
        const { incarnation } = connection ?? at(world.views, iod)
        fail(w, rules, call, incarnation)
      })
  }
  if (call.state !== 'releasing') return
  const isOver = !rules.lease || isReleased(view, call.version, NOW, LEASE)
  if (isOver)
    emit(`manager releases ${name}`, true, (w) => {
      const calls = managerOf(w).calls.filter((one) => one !== call)
      setManager(w, { calls })
      stepOpenOf(w, rules, capability, { kind: 'released', iod })
    })
  else emit(`a lease of iod ${iod} passes`, true, (w) => passLease(w, iod))
}

/** One lease of time: whatever counted from now is over. */
export function passLease(w: Draft, iod: number): void {
  const view = w.views[iod]
  if (view !== undefined) setView(w, iod, { ...view, renewedAt: 0 })
  const { process } = at(w.sites, iod)
  if (process === undefined) return
  const { start: startState, control } = process
  setProcess(w, iod, {
    start: { ...startState, askedAt: 0 },
    control: { ...control, leaseFrom: 0 },
  })
}

function iodMoves(setup: Setup, world: World, iod: number, emit: Emit): void {
  const { budget } = world.facts
  const { process } = at(world.sites, iod)
  const isCut = at(world.facts.isCut, iod)
  const name = `iod ${iod}`
  wireMoves(setup, world, iod, emit)
  if (!isCut) talkMoves(setup, world, iod, emit)
  if (process === undefined) emit(`${name} starts`, true, (w) => startIod(w, setup.rules, iod))
  else startMoves(setup, world, iod, emit)
  if (process !== undefined && budget.iodKills > 0)
    emit(`IOD ${iod} SIGKILL`, false, (w) => {
      spend(w, 'iodKills')
      killIod(w, iod)
    })
  if (isCut)
    emit(`the partition of ${name} heals`, true, (w) =>
      setFacts(w, { isCut: put(w.facts.isCut, iod, false) }),
    )
  else if (budget.partitions > 0)
    emit(`PARTITION manager | ${name}`, false, (w) => {
      spend(w, 'partitions')
      setFacts(w, { isCut: put(w.facts.isCut, iod, true) })
    })
}

// The manager's connections to one iod.
function wireMoves(setup: Setup, world: World, iod: number, emit: Emit): void {
  const { rules } = setup
  const isCut = at(world.facts.isCut, iod)
  for (const connection of at(world.wires, iod)) {
    const { id, isBelieved, isRead, toIod, toManager } = connection
    const [message] = toIod
    if (isRead && message !== undefined && !isCut)
      emit(`iod ${iod} reads ${message.kind}${isBelieved ? '' : ', LATE'}`, isBelieved, (w) =>
        readMessage(w, rules, iod, id),
      )
    if (!isBelieved) continue
    const [reply] = toManager
    if (reply !== undefined && !isCut)
      emit(`manager reads ${reply.kind} of iod ${iod}`, true, (w) =>
        read(w, setup, iod, connection),
      )
    if (!isRead || isCut)
      emit(`manager notices that a connection to iod ${iod} is lost`, true, (w) =>
        lose(w, rules, iod, connection),
      )
  }
  if (world.manager === undefined || believed(world, iod) !== undefined) return
  const isWanted =
    at(world.manager.wants, iod) ||
    world.manager.calls.some((call) => call.iod === iod && mayCall(world, call))
  if (!isWanted) return
  const isListening = at(world.sites, iod).process?.start.isListening === true
  if (isListening && !isCut)
    emit(`manager connects to iod ${iod}`, true, (w) => dial(w, setup, iod))
  else if (at(world.manager.wants, iod))
    emit(`manager cannot connect to iod ${iod}`, true, (w) =>
      setManager(w, { wants: put(managerOf(w).wants, iod, false) }),
    )
}

// The iod's questions to the manager.
function talkMoves(setup: Setup, world: World, iod: number, emit: Emit): void {
  const { rules } = setup
  const { question, late } = at(world.talks, iod)
  if (question?.state === 'answered' && question.answer !== undefined) {
    const { answer } = question
    emit(`iod ${iod} is answered ${answer.kind}`, true, (w) => takeAnswer(w, rules, iod, answer))
  }
  if (world.manager === undefined) return
  if (question?.state === 'sent')
    emit(`manager hears ${question.kind} of iod ${iod}`, true, (w) => {
      // Whatever the same start asked before is fenced off.
      const isOlder = late?.incarnation === question.incarnation
      const held = { ...question, state: 'held' } as const
      setTalk(w, iod, { question: held, late: isOlder ? undefined : late })
      hear(w, rules, iod, question)
    })
  if (question?.state === 'held' && question.kind === 'ready') {
    const view = at(world.views, iod)
    const isTried = !at(world.manager.wants, iod) && believed(world, iod) === undefined
    if (isCurrent(view) || isTried)
      emit(`manager answers READY of iod ${iod}`, true, (w) => {
        const { incarnation } = question
        const effects = stepView(w, rules, iod, { kind: 'tried', incarnation, at: NOW })
        answerWith(w, rules, iod, incarnation, effects)
      })
  }
  if (late !== undefined)
    emit(`manager hears ${late.kind} of iod ${iod} (${late.incarnation}), LATE`, false, (w) => {
      setTalk(w, iod, { late: undefined })
      hear(w, rules, iod, late)
    })
}

function startMoves(setup: Setup, world: World, iod: number, emit: Emit): void {
  const { rules } = setup
  const { start: state, control } = processOf(world, iod)
  const { question } = at(world.talks, iod)
  const isCut = at(world.facts.isCut, iod)
  const isDeaf = isCut || world.manager === undefined
  if (state.phase === 'binding')
    emit(`iod ${iod} listens`, true, (w) =>
      stepStartOf(w, rules, iod, { kind: 'listening', at: NOW }),
    )
  if (question !== undefined && (isDeaf || world.facts.budget.silences > 0))
    emit(`iod ${iod} gives up ${question.kind}`, isDeaf && !state.isListening, (w) => {
      if (!isDeaf) spend(w, 'silences')
      beSilent(w, rules, iod)
    })
  if (state.phase === 'resting' && !isDeaf && isBeatOfUse(setup, world, iod))
    emit(`the next heartbeat of iod ${iod} is due`, true, (w) =>
      stepStartOf(w, rules, iod, { kind: 'woken', at: NOW }),
    )
  const client = world.clients.find(
    ({ phase, capability }) => phase === 'open' && processOf(world, iod).table.includes(capability),
  )
  const { decided } = world.disk
  const isServed = state.isListening && isServing(control, NOW, LEASE) && client !== undefined
  if (isServed && !processOf(world, iod).isHeld && at(world.sites, iod).written < decided)
    emit(`iod ${iod} takes a write`, false, (w) => setSite(w, iod, { written: decided }))
}

// A heartbeat that would change nothing need not be looked at.
function isBeatOfUse({ rules }: Setup, world: World, iod: number): boolean {
  const { start: state, control } = processOf(world, iod)
  const view = at(world.views, iod)
  if (control.leaseFrom < NOW && rules.lease) return true
  if (!rules.ready) return false
  if (!state.isSynced || !state.isAnnounced || !isCurrent(view)) return true
  const isSameEpoch = control.epoch === managerOf(world).epoch
  return !isSameEpoch || control.version < view.acknowledged
}
