// Servers that have used up their descriptors, as the system counts them.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { deadline, until } from '../support/assertions.js'
import { missingCommand, unlessMissing } from '../support/optional.js'
import { Random } from '../support/random.js'
import { get, Place, put } from './place.js'

const test = suite('descriptors')
const ifPrlimit = unlessMissing(test, missingCommand('prlimit'))

/** Connections that are tried, and descriptors that are left for them. */
const STRANGERS = 60
const LEFT = 6

for (const [server, which, index] of [
  ['an iod', 0, 1],
  ['the manager', 'manager', 0],
] as const) {
  ifPrlimit(
    `${server} without a free descriptor lives, serves those it has, and takes new ones when there are descriptors again`,
    async () => {
      await using place = await Place.start()
      const bytes = new Random(5).bytes(200_000)
      await put(place.file, bytes, 0)
      const pid = place.cluster.pidOf(which)
      const before = limitsOf(pid)
      setLimit(pid, `${descriptors(pid) + LEFT}:${before.hard}`)
      const strangers = connections(Number(new URL(place.cluster.url).port) + index)
      // None is free any more.
      await until(() => descriptors(pid) >= limitsOf(pid).soft - 2, 30_000)
      assert.equal(await deadline('a read', 30_000, get(place.file, bytes.length, 0)), bytes)
      await deadline('a write', 30_000, put(place.file, bytes, 100_000))
      assert.is((await place.files.stat('/f')).size, 300_000)
      for (const stranger of strangers) stranger.destroy()
      await until(() => descriptors(pid) < limitsOf(pid).soft - LEFT / 2, 30_000)
      await using later = await deadline('a new client', 30_000, connect(place.cluster.url))
      assert.equal((await later.readFile('/f')).subarray(100_000), bytes)
      assert.is(place.cluster.pidOf(which), pid)
      assert.is(place.cluster.restarts, 0)
    },
  )
}

test.run()

async function connect(url: string): Promise<FileSystem> {
  return await FileSystem.connect(url)
}

function connections(port: number): net.Socket[] {
  return Array.from({ length: STRANGERS }, () => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    return socket
  })
}

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function setLimit(pid: number, limit: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}`])
}

function limitsOf(pid: number): { readonly soft: number; readonly hard: string } {
  const text = readFileSync(`/proc/${pid}/limits`, 'utf8')
  const [, soft = '', hard = ''] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(text) ?? []
  return { soft: Number(soft), hard }
}
