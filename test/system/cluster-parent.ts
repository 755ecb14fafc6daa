// A program that starts a cluster, loses one of its servers, says what there is, and ends only by force:
// run by cluster.test.ts, which looks at what is left.
import { startCluster } from '../../servers/index.js'

const cluster = await startCluster({ iods: 2 })
const pids = [cluster.pidOf('manager'), cluster.pidOf(0)]
await cluster.kill(1)
const { url, directory } = cluster
process.stdout.write(`${JSON.stringify({ url, directory, pids })}\n`)
