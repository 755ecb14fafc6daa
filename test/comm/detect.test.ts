// Which launcher, rank, size and job an environment means.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { detect, type Environment, type Launch } from '../../lib/comm/launch/detect.js'
import { throws } from '../support/assertions.js'

const test = suite('detect')

const OPENMPI = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4', PMIX_NAMESPACE: '1234567' }
const HYDRA = { PMI_RANK: '3', PMI_SIZE: '4', PMI_FD: '7' }
const SRUN = { SLURM_PROCID: '2', SLURM_NTASKS: '6', SLURM_JOB_ID: '77', SLURM_STEP_ID: '0' }
const OWN = { RANKIO_RANK: '0', RANKIO_SIZE: '2', RANKIO_JOB: 'mine' }

const CASES: readonly [string, Environment, Launch][] = [
  ['nothing', {}, { launcher: 'single', rank: 0, size: 1, job: undefined }],
  ['our own', OWN, { launcher: 'rankio', rank: 0, size: 2, job: 'mine' }],
  [
    'our own before all others',
    { ...OPENMPI, ...SRUN, ...OWN },
    { launcher: 'rankio', rank: 0, size: 2, job: 'mine' },
  ],
  ['Open MPI', OPENMPI, { launcher: 'openmpi', rank: 1, size: 4, job: '1234567' }],
  [
    'Open MPI inside Slurm',
    { ...SRUN, ...OPENMPI },
    { launcher: 'openmpi', rank: 1, size: 4, job: '1234567' },
  ],
  [
    'a job named by hand',
    { ...OPENMPI, RANKIO_JOB: 'x' },
    { launcher: 'openmpi', rank: 1, size: 4, job: 'x' },
  ],
  ['MPICH', HYDRA, { launcher: 'pmi', rank: 3, size: 4, job: undefined, pmiFd: 7 }],
  [
    'MPICH inside Slurm',
    { ...SRUN, ...HYDRA },
    { launcher: 'pmi', rank: 3, size: 4, job: undefined, pmiFd: 7 },
  ],
  [
    'PALS, whose size is that of PMI',
    { PALS_RANKID: '5', PMI_RANK: '5', PMI_SIZE: '8', PALS_APID: 'a-1' },
    { launcher: 'pals', rank: 5, size: 8, job: 'a-1' },
  ],
  [
    'Flux without PMI',
    { FLUX_TASK_RANK: '1', FLUX_JOB_SIZE: '2', FLUX_JOB_ID: 'f3' },
    { launcher: 'flux', rank: 1, size: 2, job: 'f3' },
  ],
  ['srun', SRUN, { launcher: 'slurm', rank: 2, size: 6, job: '77.0' }],
  [
    'a step smaller than its allocation',
    { ...SRUN, SLURM_STEP_NUM_TASKS: '3' },
    { launcher: 'slurm', rank: 2, size: 3, job: '77.0' },
  ],
  [
    'a shell of sbatch is no rank',
    { SLURM_PROCID: '0', SLURM_NTASKS: '6', SLURM_JOB_ID: '77' },
    { launcher: 'single', rank: 0, size: 1, job: undefined },
  ],
  [
    'a shell of salloc is no rank',
    { ...SRUN, SLURM_STEP_ID: '4294967290' },
    { launcher: 'single', rank: 0, size: 1, job: undefined },
  ],
  [
    'jsrun',
    { JSM_NAMESPACE_RANK: '0', JSM_NAMESPACE_SIZE: '2', LSB_JOBID: '9' },
    { launcher: 'jsm', rank: 0, size: 2, job: '9' },
  ],
  [
    'torchrun style',
    { RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: 'h', MASTER_PORT: '5' },
    { launcher: 'torchrun', rank: 1, size: 2, job: 'h:5' },
  ],
  [
    'RANK alone means nothing',
    { RANK: 'first' },
    { launcher: 'single', rank: 0, size: 1, job: undefined },
  ],
]

for (const [name, environment, expected] of CASES) {
  test(name, () => assert.equal(detect(environment), expected))
}

const WRONG: readonly [Environment, string][] = [
  [{ RANKIO_RANK: '2', RANKIO_SIZE: '2' }, 'RANKIO_RANK=2 is no rank of RANKIO_SIZE=2'],
  [{ RANKIO_RANK: '2' }, 'RANKIO_RANK is set, but RANKIO_SIZE is not'],
  [{ RANKIO_SIZE: '2' }, 'RANKIO_SIZE is set, but RANKIO_RANK is not'],
  [{ RANKIO_RANK: '-1', RANKIO_SIZE: '2' }, 'RANKIO_RANK="-1" is not a number'],
  [{ RANKIO_RANK: '0', RANKIO_SIZE: '' }, 'RANKIO_SIZE="" is not a number'],
  [{ RANKIO_RANK: '0', RANKIO_SIZE: '0' }, 'is no rank of'],
  [{ OMPI_COMM_WORLD_RANK: 'x', OMPI_COMM_WORLD_SIZE: '1' }, 'OMPI_COMM_WORLD_RANK="x"'],
  [{ PMI_RANK: '0', PMI_FD: '3' }, 'PMI_RANK is set, but PMI_SIZE is not'],
  [{ RANK: '1.5', WORLD_SIZE: '2' }, 'RANK="1.5"'],
]

for (const [environment, message] of WRONG) {
  test(`${JSON.stringify(environment)} is refused`, () => {
    assert.match(throws(() => detect(environment), 'MPI_ERR_ARG').message, message)
  })
}

test.run()
