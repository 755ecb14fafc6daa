import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { FINDINGS } from '../../lib/protocol/findings.js'
import { findingLine } from '../../servers/cli/fsck.js'
import { startCluster } from '../../servers/index.js'
import { runCommand } from '../support/command.js'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

const test = suite('rankio fsck')

test('a file system in use is clean; a datafile of nobody is found, put into quarantine, and gone from then on', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fs = await FileSystem.connect(cluster.url)
  await fs.writeFile('/a', new Uint8Array(200_000))
  await using _ = await fs.open('/open', 'w')
  const clean = await fsck(cluster.url)
  assert.match(
    clean.stdout.toString(),
    /^all is well; looked at \d+ names, files, opens and datafiles\n$/,
  )
  assert.is(clean.code, 0)
  const orphan = cluster.datafile(1, 900)
  await mkdir(dirname(orphan), { recursive: true })
  await writeFile(orphan, 'bytes of nobody')
  const line = 'ORPHAN_DATAFILE: a datafile whose file is gone; iod 1; handle 0000000000000384'
  const found = await fsck(cluster.url)
  assert.is(found.stdout.toString().split('\n')[0], line)
  assert.is(found.code, 1)
  const repaired = await fsck(cluster.url, '--repair')
  assert.match(
    repaired.stdout.toString(),
    new RegExp(`^${line}; quarantined\n1 finding, 1 repaired; `),
  )
  assert.is(repaired.code, 1)
  assert.is((await fsck(cluster.url)).code, 0)
  const [kept = ''] = await readdir(join(cluster.iodDirectory(1), 'lost+found'))
  assert.match(kept, /^0000000000000384\.\d+$/)
  const bytes = await readFile(join(cluster.iodDirectory(1), 'lost+found', kept), 'utf8')
  assert.is(bytes, 'bytes of nobody')
})

test('a finding is one line, whatever its name is', () => {
  const line = findingLine({
    kind: 'LOST_PIECE',
    iod: 3,
    handle: 255,
    path: '/a\n\u001b[2J',
    detail: 'part 0\non iod 3',
    repaired: 'no',
  })
  assert.is(
    line,
    'LOST_PIECE: an iod has lost a datafile that held bytes of a file; "/a\\n\\u001b[2J"; iod 3; handle 00000000000000ff; "part 0\\non iod 3"',
  )
})

test('the findings of servers/README.md are those of the code', async () => {
  const printed = tableUnder(await readFile(join(ROOT, 'servers/README.md'), 'utf8'), 'Findings')
  assert.equal(
    printed,
    Object.entries(FINDINGS).map(([kind, { means, repair }]) => [kind, means, repair]),
  )
})

test.run()

function fsck(url: string, ...args: readonly string[]) {
  return runCommand(['fsck', ...args], { env: { RANKIO_MANAGER: url } })
}
