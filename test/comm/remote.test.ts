// Ranks over real sockets keep the contract of all communicators.
import { suite } from 'uvu'
import { communicatorContract } from '../contract/communicator.js'
import { SOCKET_JOB } from '../support/job.js'

const test = suite('remote communicator over sockets')

communicatorContract(test, SOCKET_JOB)

test.run()
