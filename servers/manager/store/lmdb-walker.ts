// A process of its own that reads every page of an LMDB file and ends with 0 if it could: LMDB ends the process
// that meets a broken page. Started by `lmdb.ts`, with the path of the file.

import { open } from 'lmdb'

const [, , path = ''] = process.argv
const database = open<Uint8Array, Uint8Array>({
  path,
  keyEncoding: 'binary',
  encoding: 'binary',
  readOnly: true,
})
for (const _ of database.getRange({})) continue
await database.close()
