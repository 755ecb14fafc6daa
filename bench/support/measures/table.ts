// The one table of measures: what should be reached, and how it is measured.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { atLeast, atMost, type Found, type Measure, type Part, skipped } from './measure.js'
import { memory } from './memory.js'
import { WrongOption } from '../options.js'
import { besideRomio, grid, listSpeedup, memoryGaps } from './pieces.js'
import { little, openMessages, smallReads } from './small.js'
import { cpuPerByte, defaults, layer, oneClient, sharedFile, shortCircuit } from './streams.js'

const GRID_PARTS: readonly Part[] = [
  { ...atLeast('collective ÷ independent', 0.95, 1), byInterval: true },
  { ...atMost('automatic ÷ best', 1.25, 1.15), byInterval: true },
]

/** All measures, in the order in which they run. "Stream": C sender and receiver, one loopback TCP pair, 1 MiB messages. */
export const MEASURES: readonly Measure[] = [
  {
    name: 'tcp',
    what: '1 client, 1 iod over TCP ÷ stream',
    how: '1 rank, 1 iod, 64 MiB eight times in calls of 1 and 16 MiB, forced TCP',
    unit: '×',
    parts: [
      atLeast('write 1 MiB', 0.7, 0.8),
      atLeast('read 1 MiB', 0.56, 0.7),
      atLeast('write 16 MiB', 0.95, 1.1),
      atLeast('read 16 MiB', 0.69, 0.85),
    ],
    run: oneClient('tcp'),
  },
  {
    name: 'unix',
    what: '1 client, 1 iod over a unix socket ÷ stream',
    how: 'as tcp, over a unix socket; the stream stays TCP',
    unit: '×',
    parts: [
      atLeast('write 1 MiB', 0.77, 0.95),
      atLeast('read 1 MiB', 0.72, 0.9),
      atLeast('write 16 MiB', 1.15, 1.4),
      atLeast('read 16 MiB', 0.87, 1.1),
    ],
    run: oneClient('unix'),
  },
  {
    name: 'direct',
    what: 'short circuit, 1 client, 1 iod: rate ÷ stream; time of 4 KiB ÷ fs.readSync',
    how: 'rankio_direct rw, 64 MiB eight times in calls of 1 MiB; 8192 reads of 4 KiB, of a handle and by readAt',
    unit: '×',
    parts: [
      atLeast('write 1 MiB', 2.5, 3.5),
      atLeast('read 1 MiB', 2.5, 3.5),
      atMost('4 KiB, driver', 2, 1.5),
      atMost('4 KiB, readAt', 5, 3),
    ],
    run: shortCircuit,
  },
  {
    name: 'shared',
    what: '2 ranks, 4 iods, one file over TCP ÷ stream',
    how: 'forced TCP, strips of 64 KiB, each rank a block of its own: 32, 32, 8 MiB in calls of 1 MiB, 64 KiB, 4 KiB',
    unit: '×',
    parts: [
      atLeast('write independent 1 MiB', 0.5, 0.65),
      atLeast('read independent 1 MiB', 0.56, 0.7),
      atLeast('write independent 64 KiB', 0.28, 0.35),
      atLeast('read independent 64 KiB', 0.25, 0.4),
      atLeast('write independent 4 KiB', 0.07, 0.12),
      atLeast('read independent 4 KiB', 0.07, 0.13),
      atLeast('write collective 1 MiB', 0.45, 0.6),
      atLeast('read collective 1 MiB', 0.4, 0.65),
      atLeast('write collective 64 KiB', 0.2, 0.4),
      atLeast('read collective 64 KiB', 0.2, 0.4),
      atLeast('write collective 4 KiB', 0.02, 0.05),
      atLeast('read collective 4 KiB', 0.02, 0.05),
    ],
    run: sharedFile,
  },
  {
    name: 'defaults',
    what: 'all on one host, 2 ranks, 4 iods ÷ stream',
    how: 'unix sockets, rankio_direct read, calls of 1 MiB; then rankio_direct rw',
    unit: '×',
    parts: [
      atLeast('write 1 MiB', 0.6, 0.75),
      atLeast('read 1 MiB', 1.5, 2.5),
      atLeast('write 1 MiB, rw', 1.2, 2),
    ],
    run: defaults,
  },
  {
    name: 'small',
    what: '4 KiB random reads ÷ our own empty pings, operations a second',
    how: '1 rank, 1 iod over a unix socket; one at a time, 64 at a time, irregular lists of 64 in one call',
    unit: '×',
    parts: [
      atLeast('depth 1', 0.75, 0.85),
      atLeast('depth 64', 3, 4),
      atLeast('lists of 64', 5, 7),
    ],
    run: smallReads,
  },
  {
    name: 'cpu',
    what: 'CPU a GiB of client and iod ÷ both ends of a stream',
    how: '1 rank, 1 iod, 128 MiB in calls of 1 MiB, mean of write and read',
    unit: '×',
    parts: [atMost('tcp', 2.6, 2), atMost('unix', 2, 1.5)],
    run: cpuPerByte,
  },
  {
    name: 'layer',
    what: 'MPI-IO layer ÷ native call',
    how: '1 rank, 1 iod over a unix socket, 64 calls of 1 MiB each way, ours and the native one in turn; ratio of their medians',
    unit: '×',
    parts: [atLeast('write', 0.95, 0.98), atLeast('read', 0.95, 0.98)],
    run: layer,
  },
  {
    name: 'list',
    what: '64 B cyclic pieces: one list against a call a piece, speed-up',
    how: '4 ranks, 4 iods, unix sockets, 2000 pieces of each rank',
    unit: '×',
    parts: [atLeast('write', 50, 100), atLeast('read', 50, 100)],
    run: listSpeedup,
  },
  {
    name: 'hpio',
    what: 'HPIO grid, worst cells: rate of collective ÷ independent; time of automatic ÷ best forced way',
    how: '4 ranks, 4 iods, unix sockets, 1 MiB of a rank in regions of 64 B to 64 KiB; a short cell is measured again in 15 rounds',
    unit: '×',
    parts: GRID_PARTS,
    run: async (context) => await grid(context, GRID_PARTS),
  },
  {
    name: 'gaps',
    what: 'time with gaps in memory ÷ without',
    how: '1 rank, 4 iods, unix sockets, 8 MiB, pieces of 8, 512 and 4096 B with gaps as large; 15 rounds',
    unit: '×',
    parts: [
      atMost('write 8 B', 2.5, 2),
      atMost('read 8 B', 2.5, 2),
      atMost('write 512 B', 1.3, 1.2),
      atMost('read 512 B', 1.3, 1.2),
      atMost('write 4096 B', 1.3, 1.2),
      atMost('read 4096 B', 1.3, 1.2),
    ],
    run: memoryGaps,
  },
  {
    name: 'romio',
    what: 'collective ÷ ROMIO collective on a local directory, geometric mean',
    how: '2 ranks, 4 iods, unix sockets, rankio_direct read; ior-hard, coll_perf, tile-io, cyclic 64 B and 4 KiB, write and read',
    unit: '×',
    parts: [atLeast('mean', 0.7, 1)],
    run: besideRomio,
  },
  {
    name: 'open',
    what: 'messages of all ranks to servers for a collective open',
    how: 'counted on the connections of up to 1000 ranks in one process; the most of all',
    unit: 'messages',
    parts: [atMost('messages', 1, 1)],
    run: openMessages,
  },
  {
    name: 'links',
    what: '8 and 24 iods behind links of limited rate ÷ sum of the links',
    how: 'network namespaces, as root: npm run bench:links',
    unit: '×',
    parts: [atLeast('8 iods', 0.92, 0.94), atLeast('24 iods', 0.88, 0.94)],
    run: links,
  },
  {
    name: 'memory',
    what: 'peak memory of an iod, and of a rank beyond its buffers and rounds',
    how: 'over TCP, files of 1 MiB to --through (1g) in calls of at most 16 MiB; 1 to 10^6 pieces of 64 B in one collective call',
    unit: 'MiB',
    parts: [atMost('iod', 128, 80), atMost('rank', 96, 64)],
    run: memory,
  },
  {
    name: 'little',
    what: 'one 4 KiB collective of 4 ranks ÷ their barrier',
    how: '4 ranks, 1 iod, unix sockets; messages are those that the ranks send, CPU that of ranks and servers',
    unit: '×',
    parts: [
      'write, time',
      'write, CPU',
      'write, messages',
      'read, time',
      'read, CPU',
      'read, messages',
    ].map((name) => atMost(name, 2.5, 1.5)),
    run: little,
  },
]

/** Those with these names, with commas between; MPI_ERR_ARG that names the option where there is no such row. */
export function measuresOf(names: string, option: '--row' | '--profile'): readonly Measure[] {
  return names.split(',').map((name) => {
    const measure = MEASURES.find((each) => each.name === name)
    if (measure !== undefined) return measure
    const known = MEASURES.map((each) => each.name).join(', ')
    throw new WrongOption(`${option}: there is no ${name}; there are ${known}`)
  })
}

async function links(): Promise<Found> {
  const script = fileURLToPath(new URL('../../links.js', import.meta.url))
  return skipped(
    existsSync(script)
      ? 'needs root and minutes: npm run bench:links'
      : 'needs bench/links, which is not there',
  )
}
