// PMI-1, as far as a rank needs it: the name of the job, which hydra and `srun --mpi=pmi2` tell in no
// variable. Newline-terminated text, `cmd=... key=value`, over an inherited descriptor.

import * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { errorOf, IoError } from '../../base/errors.js'
import { type Clock, within } from '../../base/runtime.js'

/** Bytes of an answer: values have at most 1,024. */
const LINE_BYTES = 4096

type Answer = Readonly<Record<string, string>>

/**
 * Asks the PMI-1 server behind descriptor `fd` for the name of the job. The conversation ends with it: a server
 * like hydra kills all ranks when one dies between its `init` and its `finalize`. MPI_ERR_ARG if the
 * descriptor is none, for example because a wrapper did not hand it on; reason DEADLINE, PROTOCOL.
 */
export async function jobNameOverPmi(fd: number, clock: Clock, limitMs: number): Promise<string> {
  const socket = openSocket(fd)
  const late = (): IoError =>
    errorOf('DEADLINE', `PMI: no answer over descriptor ${fd} within ${limitMs} ms`)
  try {
    return await within(clock, limitMs, jobNameOver(socket), late)
  } finally {
    socket.destroy()
  }
}

/** The conversation itself, over any stream. */
export async function jobNameOver(stream: Duplex): Promise<string> {
  const lines = linesOf(stream)
  const ask = async (command: string, expected: string): Promise<Answer> => {
    stream.write(`cmd=${command}\n`)
    const line = await lines.next()
    if (line.done === true)
      throw errorOf('PROTOCOL', `PMI: the server ended before it answered ${nameOf(command)}`)
    const answer = parseAnswer(line.value)
    if (answer['cmd'] === expected && (answer['rc'] ?? '0') === '0') return answer
    throw errorOf(
      'PROTOCOL',
      `PMI: ${nameOf(command)} was answered by ${JSON.stringify(line.value)}`,
    )
  }
  await ask('init pmi_version=1 pmi_subversion=1', 'response_to_init')
  await ask('get_maxes', 'maxes')
  const { kvsname } = await ask('get_my_kvsname', 'my_kvsname')
  await ask('finalize', 'finalize_ack')
  if (kvsname === undefined || kvsname === '')
    throw errorOf('PROTOCOL', 'PMI: the server named no job')
  return kvsname
}

function openSocket(fd: number): net.Socket {
  try {
    return new net.Socket({ fd, readable: true, writable: true })
  } catch (cause) {
    const message = `PMI_FD=${fd} is no open descriptor: a wrapper between launcher and node did not hand it on; set RANKIO_JOB instead`
    throw new IoError('MPI_ERR_ARG', message, { cause })
  }
}

async function* linesOf(stream: Duplex): AsyncGenerator<string, void> {
  let text = ''
  for await (const chunk of stream) {
    text += (chunk as Buffer).toString('latin1')
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end)
      text = text.slice(end + 1)
    }
    if (text.length > LINE_BYTES) throw errorOf('PROTOCOL', 'PMI: an answer without an end')
  }
}

function nameOf(command: string): string {
  return command.split(' ', 1)[0] ?? command
}

function parseAnswer(line: string): Answer {
  const pairs = line.split(' ').map((pair) => {
    const at = pair.indexOf('=')
    return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
  })
  return Object.fromEntries(pairs) as Answer
}
