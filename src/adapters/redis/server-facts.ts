// What a Redis server is, as far as the log depends on it: which life of it this is, and how much it can lose.
import type { Redis } from 'ioredis';
import { StartError } from '../../errors.ts';

/** `appendfsync` (redis.io/docs/latest/operate/oss_and_stack/management/persistence), from strong to weak; `none`: no append-only file at all, or no word about it. */
export const DURABILITIES = ['always', 'everysec', 'none'] as const;
export type Durability = (typeof DURABILITIES)[number];

export interface ServerFacts {
  /** A new one at each start of the server. */
  readonly runId: string;
  readonly version: string;
  /** It takes writes; not so a replica, which may have been the master a moment ago. */
  readonly isMaster: boolean;
  readonly durability: Durability;
  /** It has taken over from another server, which may have acknowledged more than it passed on. */
  readonly wasReplica: boolean;
  /** Whether the server may throw keys away when it is full. */
  readonly evicts: boolean;
}

const OLDEST_MAJOR = 7;
const NO_REPLICATION_ID = /^0*$/;

export async function readServer(redis: Redis): Promise<ServerFacts> {
  const info = await redis.info();
  const fact = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  const settings = await readSettings(redis);
  return {
    runId: fact('run_id'),
    version: fact('redis_version'),
    isMaster: fact('role') === 'master',
    durability: durabilityOf(settings),
    wasReplica: !NO_REPLICATION_ID.test(fact('master_replid2')),
    evicts: (settings['maxmemory-policy'] ?? fact('maxmemory_policy')) !== 'noeviction',
  };
}

function durabilityOf(settings: Readonly<Record<string, string>>): Durability {
  if (settings.appendonly !== 'yes') return 'none';
  return settings.appendfsync === 'always' || settings.appendfsync === 'everysec' ? settings.appendfsync : 'none';
}

/** Empty where the server does not let us ask (some hosted ones): then nothing is promised. */
async function readSettings(redis: Redis): Promise<Readonly<Record<string, string>>> {
  try {
    const settings: Record<string, string> = {};
    for (const name of ['appendonly', 'appendfsync', 'maxmemory-policy']) {
      const pair = (await redis.call('CONFIG', 'GET', name)) as unknown;
      settings[name] = Array.isArray(pair)
        ? String(pair[1] ?? '')
        : String((pair as Record<string, string>)[name] ?? '');
    }
    return settings;
  } catch {
    return {};
  }
}

/** @throws StartError one line that says what to set */
export function refuseUnfit(facts: ServerFacts, weakest: Durability): void {
  const [major = 0] = facts.version.split('.').map(Number);
  if (major < OLDEST_MAJOR)
    throw new StartError(`CHAT_REDIS_URL: needs Redis ${OLDEST_MAJOR} or newer, this is ${facts.version}`);
  if (facts.evicts)
    throw new StartError('CHAT_REDIS_URL: Redis throws keys away when it is full; set "maxmemory-policy noeviction"');
  if (DURABILITIES.indexOf(facts.durability) <= DURABILITIES.indexOf(weakest)) return;
  throw new StartError(
    `CHAT_REDIS_URL: Redis can lose what it has acknowledged ("appendfsync" is ${facts.durability}); set "appendonly yes" ` +
      `and "appendfsync ${weakest}", or accept it with CHAT_REDIS_DURABILITY=${facts.durability}`,
  );
}
