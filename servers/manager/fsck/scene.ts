// What every part of a check looks at, and how it says what it has found.

import type { Clock } from '../../../lib/base/runtime.js'
import type { Finding, FindingKind } from '../../../lib/protocol/findings.js'
import { LIMITS } from '../../../lib/protocol/limits.js'
import type { Log } from '../../common/log.js'
import type { Audit } from '../audit.js'
import type { Files } from '../files.js'
import { decodeInode, decodeName, directoryOf, entryPrefix, inodeKey, nameOf } from '../inodes.js'
import type { Iods } from '../iods.js'
import type { Namespace } from '../namespace.js'
import type { OpenTable } from '../open-table.js'
import type { Sizes } from '../sizes.js'
import { entriesOf, type Entry, type Store } from '../store/store.js'
import { ROOT } from '../tree.js'

/** What a check looks at. */
export interface Scene {
  readonly clock: Clock
  readonly log: Log
  readonly store: Store
  readonly namespace: Namespace
  readonly opens: OpenTable
  readonly iods: Iods
  readonly files: Files
  readonly sizes: Sizes
  readonly audit: Audit
  /** Whether a session is alive. */
  readonly hasSession: (sessionId: string) => boolean
}

/** Findings of one file or iod, at most: all three kinds of wrong opens, and an iod that goes away. */
const MORE_OF_ONE = 4

/** A finding as a part of a check knows it. */
export type Found = Partial<Omit<Finding, 'kind'>> & { readonly kind: FindingKind }

/** The findings of one page. */
export class Findings {
  readonly #scene: Scene
  readonly #repair: boolean
  readonly list: Finding[] = []

  constructor(scene: Scene, repair: boolean) {
    this.#scene = scene
    this.#repair = repair
  }

  /** Whether a page ends here: some more of the same file or iod still fit. */
  get isFull(): boolean {
    return this.list.length >= LIMITS.findingsPerPage - MORE_OF_ONE
  }

  /**
   * Notes what is wrong. Where repairs are wanted `mend` is done; it says whether it could be, since what is
   * wrong may have changed meanwhile.
   */
  async add(
    found: Found,
    mend?: () => Promise<boolean>,
    done: Finding['repaired'] = 'mended',
  ): Promise<void> {
    const isMended = this.#repair && mend !== undefined && (await mend())
    const finding: Finding = {
      iod: undefined,
      handle: 0,
      path: '',
      detail: '',
      ...found,
      repaired: isMended ? done : 'no',
    }
    this.list.push(finding)
    if (!isMended) return
    const { kind, iod, handle, path } = finding
    this.#scene.log.warn('repaired', { kind, iod, handle, path })
  }
}

/** The path of a name, as far up as directories name their parents rightly; for messages. */
export async function pathOf(store: Store, directory: number, name: string): Promise<string> {
  let path = name
  let at = directory
  for (let depth = 0; at !== ROOT && depth < LIMITS.pathDepth; depth++) {
    const value = await store.get(inodeKey(at))
    const inode = value === undefined ? undefined : decodeInode(value)
    const above = inode?.kind === 'directory' ? await nameIn(store, inode.parent, at) : undefined
    if (inode?.kind !== 'directory' || above === undefined)
      return clipped(`<directory ${at}>/${path}`)
    path = `${above}/${path}`
    at = inode.parent
  }
  return clipped(`/${path}`)
}

async function nameIn(
  store: Store,
  directory: number,
  handle: number,
): Promise<string | undefined> {
  for await (const entry of entriesOf(store, entryPrefix(directory))) {
    if (decodeName(entry.value).handle === handle) return nameOf(entry.key)
  }
  return undefined
}

/** The path of the entry of a directory. */
export async function pathOfEntry(store: Store, { key }: Pick<Entry, 'key'>): Promise<string> {
  return await pathOf(store, directoryOf(key), nameOf(key))
}

// A path that was moved deeper may be longer than one that may be asked for.
function clipped(path: string): string {
  const limit = LIMITS.pathBytes / 4
  return path.length > limit ? `${path.slice(0, limit - 1)}…` : path
}
