// Ranks in one process keep the contract of all communicators.
import { suite } from 'uvu'
import { communicatorContract } from '../contract/communicator.js'
import { LOCAL_JOB } from '../support/job.js'

const test = suite('local communicator')

communicatorContract(test, LOCAL_JOB)

test.run()
