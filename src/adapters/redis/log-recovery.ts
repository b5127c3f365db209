// Opens a part of the log after its Redis has started: the append script is loaded only by who has made sure that nothing
// is missing, so until then nobody can append (EVALSHA answers NOSCRIPT). Missing is what the store or a live node has and the
// part has not, and whatever a server may have lost that does not sync each write, or took over from another. Then the part
// begins a new epoch, and goes on where the store ends, or with what Redis kept where that reaches further. The epoch is on
// record before Redis hears of it, and used only after it is on record that Redis has: cut off anywhere, it is taken up again.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { LogRecord, NodeReport, PartRecord } from '../../ports/log-record.ts';
import type { Millis } from '../../protocol/ids.ts';
import { directConnection, type RedisClient } from './connection.ts';
import { type PartKeys, partKeys } from './log-keys.ts';
import { appendScript, BEGIN, type Script, UNLOCK } from './log-scripts.ts';
import { readServer, type ServerFacts } from './server-facts.ts';

const LOCK_MS = 5_000;
const POLL_MS = 100;
const SOCKET_TIMEOUT_MS = 3_000;
/**
 * Receipts of before are out of sight: for as long as a key of then can count as fresh, each is looked up. Twice WINDOW
 * (log-append.lua), since one of a clock ahead counts as fresh that much later.
 */
const LONG_WAY_MS = 240_000;

interface Deps {
  readonly client: RedisClient;
  readonly record: LogRecord;
  /** Which log it is: Redis may hold another one's. */
  readonly id: string;
  readonly node: string;
  /** This node's own, as it is now. */
  report(): NodeReport;
  /** For tests: instead of the server's clock. */
  readonly now: (() => Millis) | undefined;
}

/** One attempt, on a connection that lasts as long as one life of the server. */
interface Attempt {
  readonly part: number;
  readonly keys: PartKeys;
  readonly redis: Redis;
  readonly server: ServerFacts;
  readonly script: Script;
  /** This node's own, from before Redis was asked. */
  readonly report: NodeReport;
}

export class Recovery {
  readonly #deps: Deps;
  readonly #underWay = new Map<number, Promise<void>>();
  /** By part, of the life of the server it was opened in last. */
  readonly #scripts: Script[] = [];
  #isClosed = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** What to append with; a server that has restarted, or taken over, does not know it. */
  scriptOf(part: number): Script {
    return this.#scripts[part] ?? appendScript(part, '');
  }

  /** Resolves once the part can be appended to; several callers share one attempt. Tries until closed. */
  open(part: number): Promise<void> {
    const known = this.#underWay.get(part);
    if (known !== undefined) return known;
    const opening = this.#insist(part).finally(() => this.#underWay.delete(part));
    this.#underWay.set(part, opening);
    return opening;
  }

  async #insist(part: number): Promise<void> {
    while (!this.#isClosed) {
      if (await this.#attempt(part).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @returns whether the part is open; not where another node is about it, or a node has yet to report */
  async #attempt(part: number): Promise<boolean> {
    const keys = partKeys(part);
    const report = this.#deps.report();
    const redis = await directConnection(this.#deps.client, keys.meta, SOCKET_TIMEOUT_MS);
    try {
      const server = await readServer(redis);
      if (!server.isMaster) return false;
      const attempt = { part, keys, redis, server, report, script: appendScript(part, server.runId) };
      const isOpen = (await this.#isOpen(attempt)) || (await this.#recover(attempt));
      if (isOpen) this.#scripts[part] = attempt.script;
      return isOpen;
    } finally {
      redis.disconnect();
    }
  }

  async #isOpen({ part, keys, redis, server, script, report }: Attempt): Promise<boolean> {
    const [isLoaded] = (await redis.script('EXISTS', script.sha)) as number[];
    if (isLoaded !== 1) return false;
    const kept = await readMeta(redis, keys);
    const isSame = kept.run === server.runId && kept.head >= seenOf(report, part, kept.epoch);
    return isSame && this.#follows(kept, await this.#recorded(part));
  }

  /** Whether what Redis holds goes on where the store is. */
  #follows(kept: Meta, recorded: PartRecord): boolean {
    return this.#isOurs(kept) && kept.epoch === recorded.epoch && kept.trimmed <= recorded.stored;
  }

  #isOurs({ epoch, log }: Meta): boolean {
    return epoch > 0 && log === this.#deps.id;
  }

  async #recorded(part: number): Promise<PartRecord> {
    return (await this.#deps.record.epochs())[part] ?? NEVER;
  }

  async #recover(attempt: Attempt): Promise<boolean> {
    const { redis, keys } = attempt;
    const token = randomUUID();
    if ((await redis.set(keys.lock, token, 'PX', LOCK_MS, 'NX')) !== 'OK') return false;
    try {
      return await this.#recoverLocked(attempt, token);
    } finally {
      await redis.eval(UNLOCK.text, 1, keys.lock, token).catch(() => undefined);
    }
  }

  async #recoverLocked(attempt: Attempt, token: string): Promise<boolean> {
    const { part, keys, redis, server, script } = attempt;
    const reports = await this.#reports(attempt);
    if (reports === null) return false;
    const kept = await readMeta(redis, keys);
    const recorded = await this.#recorded(part);
    const seen = Math.max(...reports.map((report) => seenOf(report, part, kept.epoch)));
    const reaches = kept.head >= Math.max(seen, recorded.stored);
    let { epoch } = kept;
    if (!this.#follows(kept, recorded) || !reaches || !keepsAll(kept, server)) {
      const begun = await this.#begin(attempt, token, recorded, this.#isOurs(kept) ? kept.epoch : 0);
      if (begun === null) return false;
      epoch = begun;
    }
    if (epoch > recorded.opened) await this.#deps.record.openEpoch(part, epoch);
    await redis.hset(keys.meta, 'run', server.runId);
    await redis.script('LOAD', script.text);
    return true;
  }

  /**
   * @param kept the epoch of what Redis holds; 0: nothing of this log
   * @returns the epoch that has begun; null where the lock was lost meanwhile
   */
  async #begin({ part, keys, redis }: Attempt, token: string, recorded: PartRecord, kept: number) {
    const { record, id, now } = this.#deps;
    // One that has begun and was never used, its beginning cut off before Redis heard of it, is gone on with.
    const isUnused = recorded.epoch > recorded.opened && recorded.epoch > kept;
    const { epoch, stored, latestKeyMs } = isUnused ? recorded : await record.beginEpoch(part, recorded.epoch, kept);
    // Older ones are a file put back: others may have gone on from before its end.
    const isContinued = kept >= recorded.opened;
    // Before the first epoch of all there were no keys.
    const longWayMs = recorded.epoch === 0 ? 0 : LONG_WAY_MS;
    const { log, meta, heads, ahead, lock, aside } = keys;
    const facts = [token, id, epoch, isContinued ? kept : 0, stored, latestKeyMs, longWayMs, now?.() ?? ''];
    const begun = await redis.eval(BEGIN.text, 6, log, meta, heads, ahead, lock, aside, ...facts);
    return begun === 1 ? epoch : null;
  }

  /** What all live nodes have read; null while one of them may still be reading from an earlier life of the server. */
  async #reports({ part, server, report: own }: Attempt): Promise<readonly NodeReport[] | null> {
    const others = (await this.#deps.record.liveNodes()).filter(({ node }) => node !== own.node);
    const reports = [own, ...others];
    return reports.some(({ runs }) => (runs[part] ?? server.runId) !== server.runId) ? null : reports;
  }
}

/** Offsets of another epoch say nothing about this one. */
function seenOf({ epochs, seen }: NodeReport, part: number, epoch: number): number {
  return epochs[part] === epoch ? (seen[part] ?? 0) : 0;
}

const NEVER: PartRecord = { epoch: 0, opened: 0, stored: 0, latestKeyMs: 0 };

interface Meta {
  /** Of which log it is. */
  readonly log: string;
  readonly run: string;
  readonly epoch: number;
  readonly head: number;
  readonly trimmed: number;
}

async function readMeta(redis: Redis, keys: PartKeys): Promise<Meta> {
  const [log, run, ...numbers] = await redis.hmget(keys.meta, 'log', 'run', 'epoch', 'head', 'trimmed');
  const [epoch = 0, head = 0, trimmed = 0] = numbers.map(Number);
  return { log: log ?? '', run: run ?? '', epoch, head, trimmed };
}

/** Whether a server still has all that it acknowledged: the same life of it, or a restart with every write synced. */
function keepsAll(kept: Meta, server: ServerFacts): boolean {
  return kept.run === server.runId || (server.durability === 'always' && !server.wasReplica);
}
