// By which file the data directories of the two servers are known.

/** The file that every data directory of a server has, from its first start on. */
export const MARKS = { manager: 'metadata.mdb', iod: 'superblock' } as const
