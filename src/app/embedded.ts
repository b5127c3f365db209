// The embedded mode: a data folder, two files in it, a thread for each; everything else in this process.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { systemClock } from '../adapters/memory/clock.ts';
import { memoryLimiter } from '../adapters/memory/limiter.ts';
import { memorySignals } from '../adapters/memory/signals.ts';
import { memoryTallies } from '../adapters/memory/tallies.ts';
import { openSqliteLog } from '../adapters/sqlite/log.ts';
import { sqliteSessions } from '../adapters/sqlite/sessions.ts';
import { openSqliteStore } from '../adapters/sqlite/store.ts';
import { sqliteUsers } from '../adapters/sqlite/users.ts';
import type { EmbeddedConfig } from '../config.ts';
import { StartError } from '../errors.ts';
import type { Adapters } from './adapters.ts';

const SECRET_FILE = 'secret';
export const LOG_FILE = 'log.db';
export const STORE_FILE = 'store.db';
const OWN_FILES: readonly string[] = [SECRET_FILE, LOG_FILE, STORE_FILE];

/** @throws StartError where the data folder is at fault */
export async function openEmbedded(config: EmbeddedConfig, logger: Logger): Promise<Adapters> {
  const { dataDir } = config;
  const secret = await openDataFolder(dataDir, config.secret);
  const storeFile = join(dataDir, STORE_FILE);
  const opening = openSqliteStore({ file: storeFile });
  // Both threads load side by side; the log reads the store's tables for what is cold.
  const log = await openSqliteLog({
    file: join(dataDir, LOG_FILE),
    storeFile,
    storeReady: opening,
    budgetBytes: config.logBudgetBytes,
  }).catch(async (error: unknown) => {
    await opening.then((store) => store.close()).catch(() => undefined);
    throw error;
  });
  const store = await opening;
  const clock = systemClock();
  return {
    openLog: async () => log,
    messages: store.messages,
    conversations: store.conversations,
    marks: store.marks,
    users: sqliteUsers(store.thread.call),
    sessions: sqliteSessions(store.thread.call),
    limiter: memoryLimiter({ rate: config.messageRate, burst: config.messageBurst }, clock),
    tallies: memoryTallies(clock),
    signals: memorySignals(),
    clock,
    secret,
    others: null,
    missing: () => [],
    setAside: ({ conv, seq }, error) => logger.error({ err: error, conv, seq }, 'the store cannot take a change'),
    foreignEntries: () => 0,
    close: async () => {
      await log.close();
      await store.close();
    },
  };
}

/** Makes the folder and its secret at the first start. @returns the secret */
async function openDataFolder(dataDir: string, given: string | null): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await refuseForeign(dataDir);
    return given ?? (await keptSecret(join(dataDir, SECRET_FILE)));
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`CHAT_DATA: cannot use the folder ${dataDir}: ${(error as Error).message}`);
  }
}

/** A folder of somebody else's is not the place for files of ours. */
async function refuseForeign(dataDir: string): Promise<void> {
  const names = (await readdir(dataDir)).filter((name) => name !== 'lost+found' && !name.startsWith('.'));
  if (names.length === 0 || names.some((name) => OWN_FILES.includes(name))) return;
  throw new StartError(
    `CHAT_DATA: the folder ${dataDir} holds other things (${names[0]}); give an empty one, or a new name`,
  );
}

async function keptSecret(file: string): Promise<string> {
  const kept = existsSync(file) ? (await readFile(file, 'utf8')).trim() : '';
  // An empty one is that of a first start cut short.
  if (kept !== '') return kept;
  const made = randomBytes(32).toString('base64url');
  await writeFile(file, `${made}\n`, { mode: 0o600, flush: true });
  return made;
}
