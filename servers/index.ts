// The public names of `rankio/servers`: explicit re-exports and nothing else. A test compares them
// with a list.

export { startCluster } from './cluster.js'
export type { Cluster, ClusterOptions } from './cluster.js'
export type { ServerName } from './cluster/servers.js'
export { startIod, startManager } from './start.js'
export type { IodStart, ManagerStart, RunningServer, ServerStart } from './start.js'
