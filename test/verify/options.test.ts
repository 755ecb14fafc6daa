// A verify command whose options are wrong says so in one sentence and has begun nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WRONG_USE } from '../support/options.js'
import { ROOT } from '../support/repository.js'

const test = suite('options of the verify commands')

/** What is wrong for each command, beside what is wrong for all. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  'verify:model': ['--states -1', '--rule-off nothing', '--protocol 2005', '--full=yes'],
  'verify:sim': ['--seeds none', '--ops 0', '--planted nothing', '--pair a,b', '--within 1.5'],
  'verify:drops': ['--operation nothing', '--fault nothing'],
  'verify:killpoints': ['--points 0', '--play nothing', '--point mkdir/manager/nowhere/-/1'],
  'verify:rolling': ['--files 0', '--rounds -1'],
  'verify:soak': ['--minutes 0', '--minutes long'],
  'verify:large': ['--bytes 0', '--pieces many', '--buffer -1'],
  'verify:views': ['--triples 0'],
  'verify:oracle': ['--programs 0', '--ranks 1,x'],
}

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>
}
const commands = Object.keys(scripts).filter((name) => /^verify:[a-z]+$/.test(name))

test('there is a case for each command', () => {
  assert.equal(new Set(Object.keys(WRONG)), new Set(commands))
})

for (const command of commands) {
  test(`${command} answers a wrong option with one sentence and exit code ${WRONG_USE}`, async () => {
    const hasSeed = command !== 'verify:drops'
    const wrong = ['--such 1', ...(hasSeed ? ['--seed x'] : []), ...(WRONG[command] ?? [])]
    await Promise.all(wrong.map((args) => refuses(command, args)))
  })
}

test('words, an option twice or without its value, and a switch with one are no options', async () => {
  const wrong = ['word', '--', '-x', '--seed', '--seed 1 --seed=2', '--seed=', '--triples 1e99']
  await Promise.all(wrong.map((args) => refuses('verify:views', args)))
  await refuses('verify:model', '--traces=1')
})

test('--help tells the options, and is no failure', async () => {
  const { code, stdout, stderr } = await run('verify:sim', ['--help'])
  assert.equal([code, stderr], [0, ''])
  assert.match(stdout, /^usage: npm run verify:sim -- .*--seeds VALUE, .*--pairs,/)
})

async function refuses(command: string, args: string): Promise<void> {
  const { code, stdout, stderr } = await run(command, args.split(' '))
  assert.is(code, WRONG_USE, `${command} ${args}: ${stderr}`)
  assert.is(stdout, '')
  assert.match(stderr, new RegExp(`^${command}: [^\n]+\n$`))
}

interface End {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(command: string, args: readonly string[]): Promise<End> {
  const [, file = ''] = / (dist\/\S+\.js)$/.exec(scripts[command] ?? '') ?? []
  const child = spawn(process.execPath, [join(ROOT, file), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [number | null]
  return { code, stdout, stderr }
}

test.run()
