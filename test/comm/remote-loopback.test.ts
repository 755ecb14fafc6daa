// Ranks over connections in memory keep the contract of all communicators.
import { suite } from 'uvu'
import { communicatorContract } from '../contract/communicator.js'
import { LOOPBACK_JOB } from '../support/job.js'

const test = suite('remote communicator over loopback')

communicatorContract(test, LOOPBACK_JOB)

test.run()
