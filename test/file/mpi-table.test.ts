// The table of MPI's routines in lib/file/README.md: nothing of the standard is missing, what it names is in the
// code, and the tests that it names use it.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

const test = suite("MPI's routines in words")

const FOLDER = join(ROOT, 'lib/file')

const README = readFileSync(join(FOLDER, 'README.md'), 'utf8')

const ROWS = tableUnder(README, "Every routine of MPI's chapter on I/O")

const DECISIONS = new Set(tableUnder(README, 'What is left out').map(([decision]) => decision))

/** Chapter 14 of MPI 4.1, without MPI_File_ and the forms for large counts. */
const ROUTINES = words(`
  open close delete set_size preallocate get_size get_group get_amode
  set_info get_info set_view get_view
  seek get_position get_byte_offset seek_shared get_position_shared
  read_at_all_end write_at_all_end read_all_end write_all_end
  read_ordered_end write_ordered_end
  set_atomicity get_atomicity sync
  create_errhandler set_errhandler get_errhandler call_errhandler c2f f2c
`)

/** Those that also have a form for large counts, with `_c`. */
const COUNTED = words(`
  read_at read_at_all write_at write_at_all
  iread_at iread_at_all iwrite_at iwrite_at_all
  read read_all write write_all iread iread_all iwrite iwrite_all
  read_shared write_shared iread_shared iwrite_shared
  read_ordered write_ordered
  read_at_all_begin write_at_all_begin read_all_begin write_all_begin
  read_ordered_begin write_ordered_begin get_type_extent
`)

/** The constants of the chapter, and the routines that are no MPI_File_. */
const OTHERS = words(`
  MPI_Register_datarep MPI_Register_datarep_c
  MPI_CONVERSION_FN_NULL MPI_CONVERSION_FN_NULL_C MPI_MAX_DATAREP_STRING
  MPI_FILE_NULL MPI_DISPLACEMENT_CURRENT MPI_SEEK_SET MPI_SEEK_CUR MPI_SEEK_END
  MPI_MODE_APPEND MPI_MODE_CREATE MPI_MODE_DELETE_ON_CLOSE MPI_MODE_EXCL MPI_MODE_RDONLY MPI_MODE_RDWR
  MPI_MODE_SEQUENTIAL MPI_MODE_UNIQUE_OPEN MPI_MODE_WRONLY
`)

interface Row {
  readonly names: readonly string[]
  readonly here: string
  readonly kind: string
  readonly proof: string
}

const rows = ROWS.map(([names = '', here = '', kind = '', proof = '']): Row => {
  return { names: names.split(', '), here, kind, proof }
})

/** What a row says that a file, or the class, has. */
function membersOf({ here }: Row): string[] {
  return [...here.matchAll(/\b(?:file|File)\.(\w+)/g)].map(([, name = '']) => name)
}

function testsOf({ proof }: Row): string[] {
  return [...proof.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => join(FOLDER, path))
}

function decisionOf({ proof }: Row): string | undefined {
  return /^left out: (D\d+)$/.exec(proof)?.[1]
}

test('every routine and constant of the chapter stands in one row, and nothing else does', () => {
  const expected = [
    ...ROUTINES.map((name) => `MPI_File_${name}`),
    ...COUNTED.flatMap((name) => [`MPI_File_${name}`, `MPI_File_${name}_c`]),
    ...OTHERS,
  ]
  assert.equal(rows.flatMap(({ names }) => names).toSorted(), expected.toSorted())
})

test('no row is open: it names tests, or the decision that leaves it out', () => {
  for (const row of rows) {
    const decision = decisionOf(row)
    if (decision === undefined) {
      assert.ok(testsOf(row).length > 0 && row.kind !== '' && row.here !== '', row.names.join())
    } else assert.ok(DECISIONS.has(decision), `${row.names.join()}: ${decision}`)
  }
  const used = new Set(rows.flatMap((row) => decisionOf(row) ?? []))
  assert.equal(used, DECISIONS, 'each decision leaves something out')
})

test('what a row names is in the code', () => {
  for (const row of rows) {
    if (decisionOf(row) !== undefined) continue
    const modes = [...row.here.matchAll(/\bMode\.(\w+)/g)].map(([, name = '']) => name)
    for (const mode of modes) assert.ok(Object.hasOwn(Mode, mode), `Mode.${mode}`)
    const members = membersOf(row)
    for (const name of members)
      assert.ok(Reflect.has(File.prototype, name) || Reflect.has(File, name), `file.${name}`)
    assert.ok(modes.length + members.length > 0, `${row.names.join()} names nothing`)
  }
})

test('the tests that a row names are there, and use what it names', () => {
  for (const row of rows) {
    const texts = testsOf(row).map((path) => {
      assert.ok(existsSync(path), path)
      return readFileSync(path, 'utf8')
    })
    for (const name of membersOf(row)) {
      for (const [index, text] of texts.entries()) {
        const isUsed = new RegExp(`\\.${name}\\b|'${name}'`).test(text)
        assert.ok(isUsed, `${row.names.join()}: ${testsOf(row)[index]} does not use ${name}`)
      }
    }
  }
})

test('every method and property of a file stands in the table, or is no routine of MPI', () => {
  const listed = new Set(rows.flatMap(membersOf))
  const ours = ['blocks', 'constructor', 'counts', 'directCounts']
  const members = Object.getOwnPropertyNames(File.prototype).filter((name) => !ours.includes(name))
  assert.equal(
    members.filter((name) => !listed.has(name)),
    [],
  )
})

test.run()

function words(text: string): string[] {
  return text.trim().split(/\s+/)
}
