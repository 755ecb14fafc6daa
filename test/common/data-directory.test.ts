import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { abandonDataDirectory, prepareDataDirectory } from '../../servers/common/data-directory.js'
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

test('one of an iod that has lost its superblock is none that was never used', async () => {
  await using folder = await temporaryFolder()
  mkdirSync(folder.at('data'))
  prepareDataDirectory(folder.path, 'iod')
  writeFileSync(folder.at('owed-cuts'), '')
  const error = throws(() => prepareDataDirectory(folder.path, 'iod'), 'MPI_ERR_ARG')
  assert.match(error.message, 'it holds "owed-cuts"')
})

test('one of an iod whose superblock has no byte is damaged, unless nothing else was made yet', async () => {
  await using folder = await temporaryFolder()
  mkdirSync(folder.at('data'))
  for (const name of ['lock', 'superblock']) writeFileSync(folder.at(name), '')
  prepareDataDirectory(folder.path, 'iod')
  writeFileSync(folder.at('owed-cuts'), 'cuts')
  const error = throws(() => prepareDataDirectory(folder.path, 'iod'), 'MPI_ERR_ARG')
  const why =
    'its superblock is empty, although it holds "owed-cuts": it was in use, and is damaged'
  assert.is(error.message, `directory ${folder.path}: ${why}`)
  assert.equal(readdirSync(folder.path).sort(), ['data', 'lock', 'owed-cuts', 'superblock'])
})

test('the own one is taken, whatever else is in it', async () => {
  await using folder = await temporaryFolder()
  for (const name of ['superblock', 'notes.txt']) writeFileSync(folder.at(name), 'text')
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

test('what cannot be made though its parent is there is said in a sentence, soon', async () => {
  if (!existsSync('/proc/self')) return
  for (const path of ['/proc/x', '/proc/x/y/z']) {
    const error = throws(() => prepareDataDirectory(path, 'iod'))
    assert.is(error.message, `directory ${path}: it cannot be made (ENOENT)`)
  }
})

test('a directory that was not used in the end is left as it was found', async () => {
  await using folder = await temporaryFolder()
  mkdirSync(folder.at('old'))
  for (const path of ['old', 'a/b/c', 'old/d']) {
    const found = prepareDataDirectory(folder.at(path), 'iod')
    writeFileSync(join(folder.at(path), 'lock'), '')
    abandonDataDirectory(folder.at(path), found)
  }
  assert.equal(readdirSync(folder.path, { recursive: true }), ['old'])
  const found = prepareDataDirectory(folder.at('e/f'), 'iod')
  for (const name of ['lock', 'superblock']) writeFileSync(folder.at(`e/f/${name}`), '')
  abandonDataDirectory(folder.at('e/f'), found)
  assert.equal(readdirSync(folder.at('e/f')), ['lock', 'superblock'])
  abandonDataDirectory(folder.at('old'), { isEmpty: false, made: undefined })
  assert.ok(existsSync(folder.at('old')))
})

test('what is no directory is said in a sentence', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('file'), '')
  for (const path of ['file', 'file/below']) {
    const error = throws(() => prepareDataDirectory(folder.at(path), 'iod'))
    assert.match(error.message, /: (it is a file|it cannot be made \(ENOTDIR\))$/)
  }
})

test.run()
