// The public names of `rankio`: explicit re-exports and nothing else. A test compares them with a list.
export { ERRORS, IoError, isIoError, REASONS } from './base/errors.js'
export { Communicator } from './comm/communicator.js'
export { initialize } from './comm/initialize.js'
export { localRanks } from './comm/local-ranks.js'
export { Datatype } from './datatype/datatype.js'
export { FileHandle, FileSystem } from './file/file-system.js'
export { File } from './file/file.js'
export { HINTS } from './file/hints.js'
export { Mode } from './file/mode.js'
export type { ErrorCode, ErrorContext, Reason, Recovery } from './base/errors.js'
export type { Group } from './comm/communicator.js'
export type { OperationName, ReduceOperation } from './comm/reduction.js'
export type { ClientCounts } from './driver/client.js'
export type { Detour, DirectChoice, DirectCounts } from './driver/direct.js'
export type { BufferSpec } from './datatype/buffer.js'
export type { Datarep } from './datatype/datarep.js'
export type {
  DirectoryName,
  FileStat,
  FileSystemSpace,
  FileSystemStatus,
  DirectOptions,
  LayoutOptions,
} from './file/file-system.js'
export type { Block, BlockOptions } from './file/blocks.js'
export type { ReadStreamOptions, WriteStreamOptions } from './file/streams.js'
export type { Whence } from './file/shared-accesses.js'
export type { Info } from './file/hints.js'
export type { Offset } from './file/numbers.js'
export type { Status } from './file/status.js'
export type { ViewSpec, ViewState } from './file/view-spec.js'
export type { Layout } from './layout/striping.js'
export type { Finding, FindingKind } from './protocol/findings.js'
