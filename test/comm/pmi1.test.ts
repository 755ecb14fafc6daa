// The PMI-1 conversation, against a server of the test.
import { connect, createServer, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { jobNameOver, jobNameOverPmi } from '../../lib/comm/launch/pmi1.js'
import { deadline, rejects } from '../support/assertions.js'

const test = suite('pmi1')

const HYDRA: Readonly<Record<string, string>> = {
  init: 'cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0',
  get_maxes: 'cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024',
  get_my_kvsname: 'cmd=my_kvsname kvsname=kvs_1234_0_host_5678',
  finalize: 'cmd=finalize_ack',
}

async function converse<T>(
  answers: Readonly<Record<string, string>>,
  use: (stream: Socket) => Promise<T>,
): Promise<{ result: T; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      const command = /^cmd=(\w+)/.exec(chunk.toString())?.[1] ?? ''
      asked.push(command)
      const answer = answers[command]
      if (answer === undefined) {
        socket.end()
        return
      }
      // In two writes: a stream keeps no boundaries.
      socket.write(answer.slice(0, 7))
      setImmediate(() => socket.write(`${answer.slice(7)}\n`))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const stream = connect(port, '127.0.0.1')
  try {
    return { result: await deadline('PMI', 5000, use(stream)), asked }
  } finally {
    stream.destroy()
    server.close()
  }
}

test('the name of the job is asked for, and the conversation ended in order', async () => {
  const { result, asked } = await converse(HYDRA, jobNameOver)
  assert.is(result, 'kvs_1234_0_host_5678')
  assert.equal(asked, ['init', 'get_maxes', 'get_my_kvsname', 'finalize'])
})

test('an answer that is none, and a server that hangs up, are errors', async () => {
  const refused = { ...HYDRA, init: 'cmd=response_to_init rc=-1' }
  const wrong = await converse(refused, (stream) => rejects(jobNameOver(stream), 'MPI_ERR_INTERN'))
  assert.match(wrong.result.message, 'init was answered by')
  const { finalize, ...short } = HYDRA
  const ended = await converse(short, (stream) => rejects(jobNameOver(stream), 'MPI_ERR_INTERN'))
  assert.match(ended.result.message, 'ended before it answered finalize')
  assert.ok(finalize)
})

test('a descriptor that a wrapper has closed is named', async () => {
  const error = await rejects(jobNameOverPmi(9999, nodeClock, 1000), 'MPI_ERR_ARG')
  assert.match(error.message, 'PMI_FD=9999')
  assert.match(error.message, 'RANKIO_JOB')
})

test.run()
