// The tables of races, faults and threats name tests that exist, and leave no row out.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

const test = suite('coverage')

const README = readFileSync(join(ROOT, 'test/verify/README.md'), 'utf8')

/** Damage of bytes in a datafile: it needs checksums on disk. */
const LATER = [43, 44, 50]

const TABLES = [
  { heading: 'Races', rows: numbers(60).map((number) => `R${number}`) },
  {
    heading: 'Faults',
    rows: numbers(62)
      .filter((number) => !LATER.includes(number))
      .map(String),
  },
  { heading: 'Threats', rows: numbers(9).map((number) => `S${number + 7}`) },
] as const

for (const { heading, rows } of TABLES) {
  test(`${heading}: each row is there once, says what must be true, and is covered`, () => {
    const table = tableUnder(README, heading)
    assert.equal(
      table.map(([id]) => id),
      rows,
    )
    for (const [id = '', sentence = '', covered = ''] of table) {
      assert.match(sentence, /^[A-Z].{25,}\.$/, `${id}: ${sentence}`)
      const places = covered.split('<br>')
      for (const place of places) assert.is(wrongWith(place), undefined, `${id}: ${place}`)
    }
  })
}

test('a test, a file and a place that do not exist are found out', () => {
  assert.match(
    reasonOf(`${'verify/coverage.test.ts'}: a test of ${0} that is not there`),
    /no test/,
  )
  assert.match(reasonOf('verify/nowhere.test.ts: a name'), /no file/)
  assert.match(reasonOf('sim/plan.ts: noSuchEpisode'), /no place/)
  assert.match(reasonOf('a sentence'), /neither/)
  assert.is(wrongWith('sim/plan.ts: killIod'), undefined)
})

test.run()

function reasonOf(place: string): string {
  return wrongWith(place) ?? 'nothing'
}

/** What is wrong with `file: name`; undefined if it exists. */
function wrongWith(place: string): string | undefined {
  const [, file, name] = /^([\w/-]+(?:\.test)?\.ts): (.+)$/.exec(place) ?? []
  if (file === undefined || name === undefined) return `neither a file nor a name: ${place}`
  const path = join(ROOT, 'test', file)
  if (!existsSync(path)) return `no file ${file}`
  const source = readFileSync(path, 'utf8')
  if (!file.endsWith('.test.ts'))
    return new RegExp(`^ +(?:readonly )?${name}\\b`, 'm').test(source)
      ? undefined
      : `no place ${name}`
  const isThere = ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}${quote}`))
  return isThere ? undefined : `no test ${name} in ${file}`
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
