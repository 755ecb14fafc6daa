// `rankio cp`: copies one file between this host and a manager, or within a manager.

import { open, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Command } from 'commander'
import { type FileSystem, IoError, type LayoutOptions } from '../../lib/index.js'
import { ioErrorOf } from '../common/errno.js'
import { example, wrongUse } from './command.js'
import { addManagerOption, connectPatiently } from './connection.js'
import { copyBytes, type Source } from './copy.js'
import { endSoon, unlessAborted, untilInterrupted } from './ending.js'
import { localEnd, remoteEnd, streamSource, streamTarget } from './ends.js'
import { sizeText } from './format.js'
import { kindAt } from './kind.js'
import { iodCount, stripSize } from './options.js'
import { inside, remotePlace, type RemotePlace } from './place.js'
import { replaceLocal, replaceRemote, type Replacement } from './replace.js'

interface CpOptions {
  readonly manager?: string
  readonly strip?: number
  readonly iods?: number
}

/** Standard input or output in place of a path. */
const STREAM = '-'

const PERMISSIONS = 0o777

type Place =
  | { readonly kind: 'stream' }
  | { readonly kind: 'local'; readonly path: string }
  | ({ readonly kind: 'remote' } & RemotePlace)

/** What is copied, open. */
interface Opened extends AsyncDisposable {
  readonly end: Source
  /** Permission bits of the file, where it has some. */
  readonly mode: number | undefined
}

/** Adds the command. */
export function addCp(program: Command): void {
  const command = program
    .command('cp')
    .description(
      'copy a file; a path on a manager is written rankio:/path or rankio://host:port/path. What is not whole yet is .rankio-cp-… beside the target; one that was killed leaves it to the next copy into that directory',
    )
    .argument('<source>', "a local path, a path on a manager, or '-' for standard input")
    .argument('<target>', "likewise, or a directory; '-' is standard output")
    .option('--strip <size>', 'bytes of a strip of a new file (default: 64KiB)', stripSize)
    .option('--iods <number>', 'iods of a new file (default: all)', iodCount)
  addManagerOption(command)
  example(
    command,
    'rankio cp --strip 1MiB field.dat rankio:/run/field.dat',
    'rankio cp rankio://node1:7300/run/field.dat - | sha256sum',
  )
  command.action(async (source: string, target: string, options: CpOptions) => {
    const from = placeOf(source, options)
    const to = placeOf(target, options)
    if (from.kind !== 'remote' && to.kind !== 'remote') {
      wrongUse(command, `neither ${source} nor ${target} is on a manager; write rankio:/path`)
    }
    const started = performance.now()
    const signal = untilInterrupted()
    signal.addEventListener('abort', () => {
      // Somebody may be waited for who says nothing any more.
      process.stdin.destroy()
      endSoon(signal.reason)
    })
    const bytes = await copy(from, to, { ...options, signal })
    const seconds = (performance.now() - started) / 1000
    if (!process.stderr.isTTY) return
    const rate = `${(bytes / 2 ** 20 / seconds).toFixed(1)} MiB/s`
    process.stderr.write(`${sizeText(bytes)} in ${seconds.toFixed(2)} s, ${rate}\n`)
  })
}

function placeOf(text: string, { manager }: CpOptions): Place {
  if (text === STREAM) return { kind: 'stream' }
  const remote = remotePlace(text, manager)
  return remote === undefined ? { kind: 'local', path: text } : { kind: 'remote', ...remote }
}

async function copy(
  from: Place,
  to: Place,
  options: CpOptions & { readonly signal: AbortSignal },
): Promise<number> {
  const { signal } = options
  await using connections = new Connections()
  const target = await fileIn(connections, from, to)
  await refuseSame(connections, from, target)
  await using source = await openSource(connections, from)
  await using sink = await openTarget(connections, target, source.mode, layoutOf(options))
  const bytes = await unlessAborted(signal, () => copyBytes(source.end, sink.end, signal))
  await sink.commit()
  return bytes
}

// A directory as target takes the name of the source.
async function fileIn(connections: Connections, from: Place, to: Place): Promise<Place> {
  if (from.kind === 'stream' || to.kind === 'stream') return to
  const name = basename(from.path)
  if (to.kind === 'local') {
    const found = await stat(to.path).catch(() => undefined)
    return found?.isDirectory() === true ? { kind: 'local', path: join(to.path, name) } : to
  }
  const kind = await kindAt(await connections.to(to.manager), to.path)
  return kind === 'directory' ? { kind: 'remote', ...inside(to, name) } : to
}

// Opening the target would cut the source to nothing.
async function refuseSame(connections: Connections, from: Place, to: Place): Promise<void> {
  if (from.kind !== 'remote' || to.kind !== 'remote') return
  if (from.manager !== to.manager || (await missing(connections, to))) return
  const fileSystem = await connections.to(from.manager)
  const [one, other] = [await fileSystem.stat(from.path), await fileSystem.stat(to.path)]
  if (one.handle !== other.handle) return
  const message = `${JSON.stringify(from.path)} and ${JSON.stringify(to.path)}: they are the same file`
  throw new IoError('MPI_ERR_ARG', message)
}

async function missing(connections: Connections, place: RemotePlace): Promise<boolean> {
  return (await kindAt(await connections.to(place.manager), place.path)) === undefined
}

async function openSource(connections: Connections, place: Place): Promise<Opened> {
  if (place.kind === 'stream') return endOf(streamSource(process.stdin), undefined)
  if (place.kind === 'local') return await openLocal(place.path)
  const fileSystem = await connections.to(place.manager)
  const { mode } = await fileSystem.stat(place.path)
  const file = await fileSystem.open(place.path, 'r')
  return endOf(remoteEnd(file), mode & PERMISSIONS, () => file.close())
}

async function openTarget(
  connections: Connections,
  place: Place,
  mode: number | undefined,
  layout: LayoutOptions,
): Promise<Replacement> {
  if (place.kind === 'stream') return printed()
  if (place.kind === 'local') return await replaceLocal(place.path, mode ?? 0o666)
  const fileSystem = await connections.to(place.manager)
  return await replaceRemote(fileSystem, place.path, { mode, layout })
}

function printed(): Replacement {
  const nothing = async (): Promise<void> => {}
  return {
    end: streamTarget(process.stdout),
    commit: nothing,
    [Symbol.asyncDispose]: nothing,
  }
}

async function openLocal(path: string): Promise<Opened> {
  try {
    const file = await open(path, 'r')
    const found = await file.stat()
    if (found.isDirectory()) {
      await file.close()
      const message = `${JSON.stringify(path)}: it is a directory`
      throw new IoError('MPI_ERR_BAD_FILE', message, { errno: 'EISDIR' })
    }
    return endOf(localEnd(file, path, found.isFile()), found.mode & PERMISSIONS, () => file.close())
  } catch (error) {
    if (error instanceof IoError) throw error
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const why = missing ? 'it does not exist' : 'it cannot be opened'
    throw ioErrorOf(error, `${JSON.stringify(path)}: ${why}`)
  }
}

function endOf(
  end: Source,
  mode: number | undefined,
  close: () => Promise<void> = async () => {},
): Opened {
  return { end, mode, [Symbol.asyncDispose]: close }
}

function layoutOf({ strip, iods }: CpOptions): LayoutOptions {
  return {
    ...(strip === undefined ? {} : { stripSize: strip }),
    ...(iods === undefined ? {} : { iodCount: iods }),
  }
}

// One connection to each manager, however often it is needed.
class Connections implements AsyncDisposable {
  readonly #open = new Map<string, Promise<FileSystem>>()

  async to(manager: string): Promise<FileSystem> {
    const known = this.#open.get(manager) ?? connectPatiently(manager)
    this.#open.set(manager, known)
    return await known
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of await Promise.allSettled(this.#open.values())) {
      // One after the other: rarely there is more than one.
      if (connection.status === 'fulfilled') await connection.value.close()
    }
  }
}
