// A C compiler whose programs end at once with exit code 7: what stands on them fails, and nothing else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CC = `#!/bin/sh
while [ $# -gt 1 ]; do
  [ "$1" = -o ] && out=$2
  shift
done
printf '#!/bin/sh\\nexit 7\\n' > "$out" && chmod +x "$out"
`

/** Comes first in the PATH of `env`, until it is disposed of. */
export function brokenCompiler(): Disposable & { readonly env: Readonly<Record<string, string>> } {
  const folder = mkdtempSync(join(tmpdir(), 'broken-cc-'))
  writeFileSync(join(folder, 'cc'), CC, { mode: 0o755 })
  return {
    env: { PATH: `${folder}:${process.env['PATH']}` },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}
