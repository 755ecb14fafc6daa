// One iod as the manager knows it: what `iod-steps.ts` says of it, the connection to it, and who waits for it.

import { unreachable } from '../../lib/base/assert.js'
import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import type { Address, Runtime } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { type HelloReply, NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { IodInfo } from '../../lib/protocol/records.js'
import { textOf } from '../../lib/transport/address.js'
import { Link } from '../../lib/transport/link.js'
import type { Rpc } from '../../lib/transport/rpc.js'
import type { Log } from '../common/log.js'
import {
  type IodEffect,
  type IodEvent,
  type IodView,
  iodAtStart,
  isComing,
  isCurrent,
  type Refusal,
  stepIod,
} from './iod-steps.js'
import type { IodtabEntry } from './iodtab.js'

/** What a slot is made of. */
export interface IodSlotOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  readonly fsid: string
  readonly index: number
  readonly entry: IodtabEntry
  /** Identifies this manager to all iods. */
  readonly clientId: string
  /** The first exchange on each connection. */
  readonly reconcile: (slot: IodSlot, rpc: Rpc, hello: HelloReply) => Promise<void>
}

/** One iod. */
export class IodSlot {
  readonly index: number
  readonly entry: IodtabEntry
  readonly link: Link
  /** Of the directory that it has; NO_ID before the first contact. */
  uuid = NO_ID
  /** The incarnation that is durable. */
  remembered = 0
  /** The process whose start that was, or NO_ID. */
  starter = NO_ID
  readonly #options: IodSlotOptions
  readonly #waiting = new Set<() => void>()
  #view: IodView
  /** Since when it is away, or was last. */
  #away: { readonly since: number; readonly incarnation: number; readonly why: string }
  #hostId = ''
  #port: number
  #unixPath = ''
  #connecting: Promise<void> = Promise.resolve()

  constructor(options: IodSlotOptions) {
    const { runtime, timing, fsid, index, entry, clientId, reconcile } = options
    this.#options = options
    this.index = index
    this.entry = entry
    const now = runtime.clock.now()
    this.#view = iodAtStart(0, now)
    this.#away = { since: now, incarnation: 0, why: 'the manager was started' }
    this.#port = entry.address.kind === 'tcp' ? entry.address.port : 0
    this.link = new Link({
      runtime,
      timing,
      name: `iod ${index}`,
      addresses: () => this.#addresses(),
      role: 'manager',
      clientId,
      sessionId: () => NO_ID,
      fsid: () => fsid,
      server: 'iod',
      iod: index,
      retries: 1,
      onConnect: (rpc, hello) => reconcile(this, rpc, hello),
    })
  }

  /** What is known of it. */
  get view(): IodView {
    return this.#view
  }

  /** The attempt to connect that was asked for last; never rejects. */
  get connecting(): Promise<void> {
    return this.#connecting
  }

  /** It was there before this manager: this directory, started so often. */
  remember(uuid: string, incarnation: number, starter: string): void {
    this.uuid = uuid
    this.starter = starter
    this.remembered = incarnation
    this.#view = iodAtStart(incarnation, this.#options.runtime.clock.now())
    this.#away = { ...this.#away, incarnation }
  }

  /** Where it says that it listens. */
  locate(place: {
    readonly hostId: string
    readonly port: number
    readonly unixPath: string
  }): void {
    this.#hostId = place.hostId
    this.#port = place.port
    this.#unixPath = place.unixPath
  }

  /** What clients and operators are told. */
  info(): IodInfo {
    const { address } = this.entry
    const listed = address.kind === 'unix' ? address.path : ''
    const { phase, incarnation, version } = this.#view
    return {
      index: this.index,
      state: phase,
      incarnation,
      version,
      hostId: this.#hostId,
      host: address.kind === 'tcp' ? address.host : '',
      port: this.#port,
      unixPath: this.#unixPath === '' ? listed : this.#unixPath,
    }
  }

  /** One step of what is known of it. What can be done at once is done; the rest, which is returned, is the caller's. */
  step(event: IodEvent): readonly IodEffect[] {
    const before = this.#view
    const [view, effects] = stepIod(before, event)
    this.#view = view
    if (isCurrent(before) !== isCurrent(view)) this.#changed(isCurrent(view), event)
    return effects.filter((effect) => !this.#did(effect, event))
  }

  /** The same for what the iod says: throws if it is not believed. */
  believed(event: IodEvent): readonly IodEffect[] {
    const effects = this.step(event)
    for (const effect of effects)
      if (effect.kind === 'refuse') throw this.refusal(effect.why, event)
    return effects
  }

  /** The error that says why something is not believed. */
  refusal(why: Refusal, event: IodEvent): IoError {
    const { index } = this
    const known = this.#view.incarnation
    const incarnation = 'incarnation' in event ? event.incarnation : known
    switch (why) {
      case 'superseded':
        return new IoError(
          'MPI_ERR_OTHER',
          `iod ${index}: incarnation ${incarnation} was superseded by ${known}`,
        )
      case 'unsynced':
        return errorOf('DISCONNECTED', `iod ${index}: incarnation ${incarnation} has not synced`)
      case 'outdated':
        return errorOf('DISCONNECTED', `iod ${index}: this connection was given up`)
      default:
        return unreachable(why)
    }
  }

  /** Whether the iod answers now: asked on the connection that there is, or a new one. */
  async answers(): Promise<boolean> {
    try {
      const { connectMs } = this.#options.timing
      await this.link.control(IOD.space, {}, { deadlineMs: connectMs })
      return true
    } catch {
      return false
    }
  }

  /** Connects, unless there is a connection. */
  connect(): void {
    const { log, timing } = this.#options
    this.#connecting = this.link
      .connect({ deadlineMs: timing.silenceMs })
      .catch((error: unknown) => {
        log.info('iod cannot be reached', {
          iod: this.index,
          why: messageOf(error),
        })
      })
  }

  /** Resolves when a call may be tried; a `down` iod is tried as it is, it may have been there all along. Reason IOD_DOWN. */
  async usable(deadline: number): Promise<void> {
    const { clock } = this.#options.runtime
    while (isComing(this.#view)) {
      const leftMs = deadline - clock.now()
      if (leftMs <= 0) throw this.down(undefined)
      await this.woken(leftMs)
    }
  }

  /** Resolves when something of it has changed, at the latest after this time. */
  async woken(limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        timer.cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = this.#options.runtime.clock.timer(Math.max(0, limitMs), wake)
      this.#waiting.add(wake)
    })
  }

  /** The error that says that it could not be reached. */
  down(cause: unknown): IoError {
    const { index, entry } = this
    const message = `iod ${index} (${textOf(entry.address)}): it is ${this.#view.phase} and was not reachable in time`
    return errorOf('IOD_DOWN', message, {
      iod: index,
      ...(cause === undefined ? {} : { cause }),
    })
  }

  /** Ends the connection; who waits for it waits no longer. */
  close(): void {
    this.link.close()
    this.#view = { ...this.#view, phase: 'down', link: 'none' }
    this.#wake()
  }

  // One line for each time that it was away, when it is over: from the moment at which it was missed.
  #changed(isThere: boolean, { kind }: IodEvent): void {
    const { log, runtime } = this.#options
    const now = runtime.clock.now()
    const { incarnation, version } = this.#view
    if (!isThere) {
      this.#away = { since: now, incarnation, why: WHY[kind] ?? kind }
      return
    }
    const { since, incarnation: before, why } = this.#away
    const isRestarted = incarnation !== before
    const ms = Math.round(now - since)
    log.info('iod recovered', { iod: this.index, incarnation, version, isRestarted, why, ms })
  }

  #did({ kind }: IodEffect, event: IodEvent): boolean {
    switch (kind) {
      case 'disconnect':
        this.link.disconnect(
          errorOf('DISCONNECTED', `iod ${this.index}: ${WHY[event.kind] ?? event.kind}`),
        )
        return true
      case 'connect':
        this.connect()
        return true
      case 'wake':
        this.#wake()
        return true
      default:
        return false
    }
  }

  #wake(): void {
    // Each takes itself out.
    for (const wake of this.#waiting) wake()
  }

  #addresses(): Address[] {
    const { address } = this.entry
    const isNear = this.#unixPath !== '' && this.#hostId === this.#options.runtime.hostId
    return isNear ? [{ kind: 'unix', path: this.#unixPath }, address] : [address]
  }
}

/** Why a connection is ended, for those whose calls were on it. */
const WHY: Readonly<Partial<Record<IodEvent['kind'], string>>> = {
  sync: 'it was started again',
  ready: 'it is ready',
  heartbeat: 'it is behind',
  missed: 'it has missed a change',
  lost: 'its connection ended',
  unanswered: 'it did not answer',
}
