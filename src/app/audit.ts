// What `verify` compares, in either mode: log and store past all servers, and a store of its own to measure them by.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openMongoAudit } from '../adapters/mongo/audit.ts';
import { openRedisAudit } from '../adapters/redis/audit.ts';
import { openSqliteAudit } from '../adapters/sqlite/audit.ts';
import { sqliteScratch } from '../adapters/sqlite/audit-scratch.ts';
import type { ClusterConfig, Config, EmbeddedConfig } from '../config.ts';
import { StartError } from '../errors.ts';
import type { LogAudit, StoreAudit } from '../ports/audit.ts';
import { type Summary, type VerifyOptions, verify } from '../verify/index.ts';
import { LOG_FILE, STORE_FILE } from './embedded.ts';

export { lineOf, type Summary } from '../verify/index.ts';

interface Sides {
  readonly store: StoreAudit;
  readonly log: LogAudit;
}

/** @throws StartError where there is nothing to verify, it cannot be reached, or a server must not run beside a repair */
export async function verifyAll(config: Config, options: VerifyOptions): Promise<Summary> {
  const { store, log } = await openSides(config, options.repair);
  const scratch = sqliteScratch();
  try {
    return await verify({ store, log, scratch }, options);
  } finally {
    scratch.close();
    await log.close();
    await store.close();
  }
}

function openSides(config: Config, canMend: boolean): Promise<Sides> {
  switch (config.mode) {
    case 'embedded':
      return openFolder(config, canMend);
    case 'cluster':
      return openServices(config, canMend);
  }
}

async function openFolder({ dataDir }: EmbeddedConfig, canMend: boolean): Promise<Sides> {
  const isFolder = await stat(dataDir).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new StartError(`CHAT_DATA: there is no folder ${dataDir}`);
  return openSqliteAudit({ storeFile: join(dataDir, STORE_FILE), logFile: join(dataDir, LOG_FILE), canMend });
}

async function openServices({ mongoUrl, redisUrl, partitions }: ClusterConfig, canMend: boolean): Promise<Sides> {
  const store = await openMongoAudit(mongoUrl, canMend).catch((error: Error) => {
    if (error instanceof StartError) throw error;
    const { message } = error.cause instanceof Error ? error.cause : error;
    throw new StartError(`CHAT_MONGO_URL: MongoDB cannot be reached (${message})`, { cause: error });
  });
  try {
    return { store, log: await openRedisAudit(redisUrl, partitions) };
  } catch (error) {
    await store.close();
    throw error;
  }
}
