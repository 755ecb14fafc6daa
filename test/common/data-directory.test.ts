import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { prepareDataDirectory } from '../../servers/common/data-directory.js'
import { throws } from '../support/assertions.js'
import { temporaryFolder } from '../support/command.js'

const test = suite('data-directory')

test('a directory that is missing is made, for its owner alone', async () => {
  await using folder = await temporaryFolder()
  prepareDataDirectory(folder.at('a/b'), 'iod')
  assert.is(statSync(folder.at('a/b')).mode & 0o777, 0o700)
})

test('an empty one is taken, also with what a fresh file system, a lock or a format that was cut short leaves', async () => {
  await using folder = await temporaryFolder()
  for (const name of ['lost+found', 'data']) mkdirSync(folder.at(name))
  writeFileSync(folder.at('lock'), '')
  prepareDataDirectory(folder.path, 'iod')
  prepareDataDirectory(folder.path, 'manager')
})

test('the own one is taken, whatever else is in it', async () => {
  await using folder = await temporaryFolder()
  for (const name of ['superblock', 'notes.txt']) writeFileSync(folder.at(name), '')
  prepareDataDirectory(folder.path, 'iod')
})

for (const [owner, mark, message] of [
  ['manager', 'superblock', 'it is the data directory of an iod, not of a manager'],
  ['iod', 'metadata.mdb', 'it is the data directory of a manager, not of an iod'],
  [
    'iod',
    'thesis.tex',
    'it holds "thesis.tex"; a new data directory must be empty, so that nothing is overwritten',
  ],
] as const) {
  test(`a directory with ${mark} is refused to the ${owner}, and nothing is left in it`, async () => {
    await using folder = await temporaryFolder()
    writeFileSync(folder.at(mark), '')
    const error = throws(() => prepareDataDirectory(folder.path, owner), 'MPI_ERR_ARG')
    assert.is(error.message, `directory ${folder.path}: ${message}`)
    assert.not(existsSync(folder.at('lock')))
  })
}

test('what is no directory is said in a sentence', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('file'), '')
  for (const path of ['file', 'file/below']) {
    const error = throws(() => prepareDataDirectory(folder.at(path), 'iod'))
    assert.match(error.message, /: it cannot be (made|read) \((EEXIST|ENOTDIR)\)$/)
  }
})

test.run()
