import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LOCK_FILE, lockDirectory } from '../../servers/common/lock.js'
import { rejects } from '../support/assertions.js'

const test = suite('lock')

test('a lock file that cannot be opened is an error of the system', async () => {
  await using folder = await temporaryFolder()
  await mkdir(join(folder.path, LOCK_FILE))
  await rejects(lockDirectory(folder.path), 'MPI_ERR_BAD_FILE')
})

test('a directory that is missing is an error of the system', async () => {
  await using folder = await temporaryFolder()
  await rejects(lockDirectory(join(folder.path, 'missing')), 'MPI_ERR_NO_SUCH_FILE')
})

test('a missing flock is said in one sentence', async () => {
  await using folder = await temporaryFolder()
  const path = process.env['PATH']
  process.env['PATH'] = folder.path
  try {
    const error = await rejects(lockDirectory(folder.path), 'MPI_ERR_IO')
    assert.match(error.message, /needs the command "flock" of util-linux/)
  } finally {
    process.env['PATH'] = path
  }
})

test('the lock excludes within one process, ends with its release, and survives a child process', async () => {
  await using folder = await temporaryFolder()
  const first = await lockDirectory(folder.path)
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    const error = await rejects(lockDirectory(folder.path), 'MPI_ERR_IO')
    assert.match(error.message, new RegExp(`process ${process.pid}$`))
    await first.release()
    await first.release()
    await using second = await lockDirectory(folder.path)
    assert.is(await readFile(join(second.path, LOCK_FILE), 'utf8'), `${process.pid}\n`)
  } finally {
    child.kill()
    await once(child, 'exit')
  }
})

interface Folder extends AsyncDisposable {
  readonly path: string
}

async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'lock-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test.run()
