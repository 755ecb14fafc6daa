// What the clients on its host may know of an iod's data directory: where its proof lies, and where its datafiles do.

/** The file by which a client sees that it looks at the disk of this very iod. */
export const PROOF_FILE = 'direct'

/** Characters of the nonce with which the proof begins. */
export const NONCE_CHARACTERS = 32

/** The nonce and a letter. */
export const PROOF_BYTES = NONCE_CHARACTERS + 1

/** The folder of a data directory in which the datafiles are. */
export const DATA_FOLDER = 'data'

/** The name of a handle's datafile. */
export function datafileName(handle: number): string {
  return hex(handle, 16)
}

/** The folder of a handle's datafile below DATA_FOLDER, by its low byte. */
export function datafileFolder(handle: number): string {
  return hex(handle % 256, 2)
}

/** The path of a handle's datafile below DATA_FOLDER. */
export function datafilePath(handle: number): string {
  return `${datafileFolder(handle)}/${datafileName(handle)}`
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
