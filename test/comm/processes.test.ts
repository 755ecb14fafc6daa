// Ranks in processes of their own: they work together, and see each other die.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { urlOf } from '../../lib/transport/address.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { deadline, until } from '../support/assertions.js'
import { MeetingServer } from '../support/meeting-server.js'
import { missingCommand, unlessMissing } from '../support/optional.js'

const test = suite('ranks in processes')

const PROGRAM = join(import.meta.dirname, 'rank-program.js')

class RankProcess {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  output = ''
  errors = ''

  constructor(part: string, env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, [PROGRAM, part], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child = child
    child.stdout.on('data', (chunk) => {
      this.output += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      this.errors += String(chunk)
    })
    this.ended = new Promise((resolve) => child.once('close', resolve))
  }

  get lines(): string[] {
    return this.output.trim().split('\n')
  }
}

async function launched<T>(
  part: string,
  size: number,
  use: (ranks: readonly RankProcess[], directory: string) => Promise<T>,
): Promise<T> {
  const server = await MeetingServer.start(nodeRuntime(), TIMING)
  const directory = mkdtempSync(join(tmpdir(), 'rankio-ranks-'))
  const env = {
    RANKIO_SIZE: String(size),
    RANKIO_JOB: part,
    RANKIO_MANAGER: urlOf(server.address),
    XDG_RUNTIME_DIR: directory,
  }
  const ranks = Array.from(
    { length: size },
    (_, rank) => new RankProcess(part, { ...env, RANKIO_RANK: String(rank) }),
  )
  try {
    return await deadline(`${size} ranks that ${part}`, 30_000, use(ranks, directory))
  } finally {
    for (const { child } of ranks) child.kill('SIGKILL')
    await Promise.all(ranks.map(({ ended }) => ended))
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function endsOf(ranks: readonly RankProcess[]): Promise<(number | null)[]> {
  return await Promise.all(ranks.map(({ ended }) => ended))
}

test('four processes exchange, leave in order, and leave nothing behind', async () => {
  await launched('work', 4, async (ranks, directory) => {
    assert.equal(await endsOf(ranks), [0, 0, 0, 0], ranks.map(({ errors }) => errors).join('\n'))
    for (const { lines } of ranks) assert.equal(lines, ['sum 6 of 0123', 'end'])
    assert.equal(readdirSync(join(directory, 'rankio')), [])
  })
})

for (const victim of [0, 1, 2, 3]) {
  test(`rank ${victim} is killed: all others are told, and go on to their end`, async () => {
    await launched('wait', 4, async (ranks) => {
      await until(() => ranks.every(({ output }) => output.includes('waiting')), 20_000)
      ranks[victim]?.child.kill('SIGKILL')
      const others = ranks.filter((_, rank) => rank !== victim)
      assert.equal(await endsOf(others), [0, 0, 0], others.map(({ errors }) => errors).join('\n'))
      const told = `RANK_DIED ${victim}`
      for (const { lines } of others) assert.equal(lines, ['waiting', told, told, 'end'])
    })
  })
}

test('a rank leaves a barrier though another one computes as soon as it has left', async () => {
  await launched('leave', 2, async (ranks) => {
    assert.equal(await endsOf(ranks), [0, 0], ranks.map(({ errors }) => errors).join('\n'))
    assert.equal(ranks[0]?.lines, ['the other has left', 'end'])
  })
})

test('a rank that computes without looking at its sockets is not dead', async () => {
  await launched('compute', 3, async (ranks) => {
    assert.equal(await endsOf(ranks), [0, 0, 0], ranks.map(({ errors }) => errors).join('\n'))
    assert.equal(
      ranks.map(({ lines }) => lines),
      [
        ['sum 3', 'end'],
        ['sum 3', 'end'],
        ['sum 3', 'first', 'end'],
      ],
    )
  })
})

for (const [part, code] of [
  ['throw', 1],
  ['exit', 0],
] as const) {
  test(`a rank that ends by ${part} has died for the others`, async () => {
    await launched(part, 3, async (ranks) => {
      assert.equal(await endsOf(ranks), [0, code, 0])
      for (const rank of [0, 2]) assert.equal(ranks[rank]?.lines, ['RANK_DIED 1', 'end'])
    })
  })
}

test('under a PMI-1 server the job has the name that it tells', async () => {
  const server = await MeetingServer.start(nodeRuntime(), TIMING)
  const manager = urlOf(server.address)
  const ranks = ['0', '1'].map((rank) => {
    const env = {
      ...process.env,
      PMI_RANK: rank,
      PMI_SIZE: '2',
      PMI_FD: '3',
      RANKIO_MANAGER: manager,
      XDG_RUNTIME_DIR: '/dev/null',
    }
    return spawn(process.execPath, [PROGRAM, 'work'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
  })
  const answers: Readonly<Record<string, string>> = {
    init: 'response_to_init rc=0',
    get_maxes: 'maxes kvsname_max=256',
    get_my_kvsname: 'my_kvsname kvsname=kvs_7',
    finalize: 'finalize_ack',
  }
  const ends = ranks.map(async (child) => {
    const pmi = child.stdio[3]
    if (!(pmi instanceof Duplex)) throw new Error('no descriptor 3')
    pmi.on('data', (line) =>
      pmi.write(`cmd=${answers[/^cmd=(\w+)/.exec(String(line))?.[1] ?? '']}\n`),
    )
    pmi.on('error', () => {})
    return await new Promise((resolve) => child.once('close', resolve))
  })
  assert.equal(await deadline('two ranks under PMI', 20_000, Promise.all(ends)), [0, 0])
  await server.close()
})

for (const [command, options] of [
  ['mpirun.mpich', ['-n', '4']],
  ['mpirun.openmpi', ['-n', '4', '--oversubscribe', '--allow-run-as-root', '--bind-to', 'none']],
] as const) {
  const ifThere = unlessMissing(test, missingCommand(command))
  ifThere(`${command} starts ranks that meet`, async () => {
    const server = await MeetingServer.start(nodeRuntime(), TIMING)
    const env = {
      ...process.env,
      RANKIO_MANAGER: urlOf(server.address),
      XDG_RUNTIME_DIR: '/dev/null',
    }
    const args = [...options, process.execPath, PROGRAM, 'work']
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    try {
      assert.is(await deadline(`four ranks of ${command}`, 30_000, ended), 0)
      assert.is(output.match(/sum 6 of 0123/g)?.length, 4, output)
    } finally {
      child.kill('SIGKILL')
      await server.close()
    }
  })
}

test.run()
