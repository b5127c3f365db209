import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { keptLog, openMemoryLog } from '../../src/adapters/memory/log.ts';
import type { Log } from '../../src/ports/log.ts';
import { redisCluster } from '../kit/services.ts';
import { type LogUnderTest, logContract } from './log.ts';
import { logFolder } from './log-folder.ts';
import type { LogSettings } from './log-items.ts';
import { clusterUnderTest, type RedisUnderTest, redisUnderTest } from './log-redis.ts';

// Figures of memory are of what is in use, not of what is yet to be collected.
setFlagsFromString('--expose-gc');
globalThis.gc = runInNewContext('gc');

logContract(t, 'memory', async (_t, settings = {}) => {
  const kept = keptLog();
  const log = await openMemoryLog({ ...settings, kept });
  let open: Log = log;
  const reopen = async () => {
    await open.close();
    open = await openMemoryLog({ ...settings, kept });
    return open;
  };
  return { log, reopen, store: async () => {} };
});

logContract(t, 'sqlite', async (t, settings) => {
  const folder = await logFolder(t);
  const log = await folder.open(settings);
  let open = log;
  const reopen = async () => {
    await open.close();
    open = await folder.open(settings);
    return open;
  };
  return { log, reopen, store: (changes) => folder.store(changes) };
});

logContract(t, 'redis', async (t, settings) => opened(await redisUnderTest(t), settings));

const cluster = await redisCluster(t);
logContract(t, 'redis cluster', async (t, settings) => opened(await clusterUnderTest(t, cluster), settings));

async function opened(under: RedisUnderTest, settings?: LogSettings): Promise<LogUnderTest> {
  const log = await under.open(settings);
  let open = log;
  const reopen = async () => {
    await open.close();
    open = await under.open(settings);
    return open;
  };
  return { log, reopen, store: (changes) => under.apply(open, changes) };
}
