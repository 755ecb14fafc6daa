// Who am I: rank, size and job, as the launcher tells in the environment. The one table of launchers;
// pure, and silent about how ranks find each other.

import { IoError } from '../../base/errors.js'

/** What an environment is: `process.env`, or a test's. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Names of the launchers that are known. */
export type Launcher =
  | 'rankio'
  | 'openmpi'
  | 'pmi'
  | 'pals'
  | 'flux'
  | 'slurm'
  | 'jsm'
  | 'torchrun'
  | 'single'

/** What a launcher tells a rank. */
export interface Launch {
  readonly launcher: Launcher
  readonly rank: number
  readonly size: number
  /** The same on all ranks; undefined where the environment does not tell. */
  readonly job: string | undefined
  /** The descriptor over which a PMI-1 server tells the job, for launcher 'pmi'. */
  readonly pmiFd?: number
}

interface LauncherEntry {
  readonly launcher: Launcher
  /** Variables of the rank and of the size; of several sizes the first that is set. */
  readonly rank: string
  readonly sizes: readonly [string, ...string[]]
  /** Whether the process is a rank of this launcher, where having rank or size does not say so. */
  readonly present?: (env: Environment) => boolean
  readonly job: (env: Environment) => string | undefined
}

/** Step ids from here on are no steps but scripts and shells of Slurm (SLURM_MAX_NORMAL_STEP_ID). */
const SLURM_SPECIAL_STEPS = 0xffff_fff0

/**
 * In the order in which they are asked. One that starts another comes after it: `mpirun` inside a
 * Slurm allocation has the variables of both.
 */
const LAUNCHERS: readonly LauncherEntry[] = [
  {
    launcher: 'rankio',
    rank: 'RANKIO_RANK',
    sizes: ['RANKIO_SIZE'],
    job: (env) => env['RANKIO_JOB'],
  },
  {
    launcher: 'openmpi',
    rank: 'OMPI_COMM_WORLD_RANK',
    sizes: ['OMPI_COMM_WORLD_SIZE'],
    job: (env) => env['PMIX_NAMESPACE'] ?? env['OMPI_MCA_ess_base_jobid'],
  },
  {
    launcher: 'pmi',
    rank: 'PMI_RANK',
    sizes: ['PMI_SIZE'],
    present: (env) => env['PMI_RANK'] !== undefined && env['PMI_FD'] !== undefined,
    job: () => undefined,
  },
  {
    launcher: 'pals',
    rank: 'PALS_RANKID',
    sizes: ['PALS_SIZE', 'PMI_SIZE'],
    present: (env) => env['PALS_RANKID'] !== undefined,
    job: (env) => env['PALS_APID'],
  },
  {
    launcher: 'flux',
    rank: 'FLUX_TASK_RANK',
    sizes: ['FLUX_JOB_SIZE'],
    present: (env) => env['FLUX_TASK_RANK'] !== undefined,
    job: (env) => env['FLUX_JOB_ID'],
  },
  {
    launcher: 'slurm',
    rank: 'SLURM_PROCID',
    sizes: ['SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS', 'SLURM_NPROCS'],
    present: isSlurmStep,
    job: (env) => `${env['SLURM_JOB_ID'] ?? env['SLURM_JOBID']}.${slurmStep(env)}`,
  },
  {
    launcher: 'jsm',
    rank: 'JSM_NAMESPACE_RANK',
    sizes: ['JSM_NAMESPACE_SIZE'],
    job: (env) => env['PMIX_NAMESPACE'] ?? env['LSB_JOBID'],
  },
  {
    launcher: 'torchrun',
    rank: 'RANK',
    sizes: ['WORLD_SIZE'],
    // Names that anything may have set: only both together mean a rank.
    present: (env) => env['RANK'] !== undefined && env['WORLD_SIZE'] !== undefined,
    job: (env) => env['TORCHELASTIC_RUN_ID'] ?? masterOf(env),
  },
]

/**
 * Finds the launcher of this process: one rank alone where there is none. `RANKIO_JOB` names the job under any
 * launcher. MPI_ERR_ARG for variables that contradict each other.
 */
export function detect(env: Environment): Launch {
  const entry = LAUNCHERS.find((each) => isPresent(each, env))
  if (entry === undefined) return { launcher: 'single', rank: 0, size: 1, job: env['RANKIO_JOB'] }
  const sizeName = entry.sizes.find((name) => env[name] !== undefined) ?? entry.sizes[0]
  const rank = numberOf(env, entry.rank, sizeName)
  const size = numberOf(env, sizeName, entry.rank)
  if (size < 1 || rank >= size) {
    throw new IoError(
      'MPI_ERR_ARG',
      `launcher: ${entry.rank}=${rank} is no rank of ${sizeName}=${size}`,
    )
  }
  const job = env['RANKIO_JOB'] ?? entry.job(env)
  const { launcher } = entry
  if (launcher !== 'pmi') return { launcher, rank, size, job }
  return { launcher, rank, size, job, pmiFd: numberOf(env, 'PMI_FD', entry.rank) }
}

function isPresent({ rank, sizes, present }: LauncherEntry, env: Environment): boolean {
  if (present !== undefined) return present(env)
  return [rank, ...sizes].some((name) => env[name] !== undefined)
}

function isSlurmStep(env: Environment): boolean {
  const step = slurmStep(env)
  if (env['SLURM_PROCID'] === undefined || step === undefined || !/^\d+$/.test(step)) return false
  return Number(step) < SLURM_SPECIAL_STEPS
}

function slurmStep(env: Environment): string | undefined {
  return env['SLURM_STEP_ID'] ?? env['SLURM_STEPID']
}

function masterOf(env: Environment): string | undefined {
  const host = env['MASTER_ADDR']
  const port = env['MASTER_PORT']
  return host === undefined || port === undefined ? undefined : `${host}:${port}`
}

function numberOf(env: Environment, name: string, other: string): number {
  const text = env[name]
  if (text === undefined)
    throw new IoError('MPI_ERR_ARG', `launcher: ${other} is set, but ${name} is not`)
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new IoError(
    'MPI_ERR_ARG',
    `launcher: ${name}=${JSON.stringify(text)} is not a number from 0 on`,
  )
}
