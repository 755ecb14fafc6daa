// Ranks over real sockets keep the contract of all communicators, on one host and between hosts.
import { suite } from 'uvu'
import { communicatorContract } from '../contract/communicator.js'
import { HOSTS_JOB, SOCKET_JOB } from '../support/job.js'

const test = suite('remote communicator over sockets')

communicatorContract(test, SOCKET_JOB)
communicatorContract(test, HOSTS_JOB)

test.run()
