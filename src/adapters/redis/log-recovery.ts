// Opens a part of the log after its Redis has started: the append script is loaded only by who has made sure that nothing
// is missing, so until then nobody can append (EVALSHA answers NOSCRIPT). Missing is what the store or a live node has and the
// part has not, and whatever a server may have lost that does not sync each write, or took over from another. Then the part
// begins a new epoch, and goes on where the store ends, or with what Redis kept where that reaches further.
import type { Redis } from 'ioredis';
import type { LogRecord, NodeReport, PartRecord } from '../../ports/log-record.ts';
import { directConnection, type RedisClient } from './connection.ts';
import { type PartKeys, partKeys } from './log-keys.ts';
import { appendScript, BEGIN } from './log-scripts.ts';
import { readServer, type ServerFacts } from './server-facts.ts';

const LOCK_MS = 5_000;
const POLL_MS = 100;
const SOCKET_TIMEOUT_MS = 3_000;
/** Keys of before may be gone: for this long each is looked up (log-append.lua, WINDOW). */
const LONG_WAY_MS = 120_000;

interface Deps {
  readonly client: RedisClient;
  readonly record: LogRecord;
  readonly node: string;
  /** This node's own, as it is now. */
  report(): NodeReport;
}

export class Recovery {
  readonly #deps: Deps;
  readonly #underWay = new Map<number, Promise<void>>();
  #isClosed = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Resolves once the part can be appended to; several callers share one attempt. Tries until closed. */
  open(part: number): Promise<void> {
    const known = this.#underWay.get(part);
    if (known !== undefined) return known;
    const attempt = this.#insist(part).finally(() => this.#underWay.delete(part));
    this.#underWay.set(part, attempt);
    return attempt;
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
    const redis = await directConnection(this.#deps.client, keys.meta, SOCKET_TIMEOUT_MS);
    try {
      const server = await readServer(redis);
      const kept = await readMeta(redis, keys);
      if (await this.#isOpen(part, redis, server, kept)) return true;
      const locked = await redis.set(keys.recovery, this.#deps.node, 'PX', LOCK_MS, 'NX');
      if (locked !== 'OK') return false;
      return await this.#recover(part, redis, server).finally(() => redis.del(keys.recovery));
    } finally {
      redis.disconnect();
    }
  }

  async #isOpen(part: number, redis: Redis, server: ServerFacts, kept: Meta): Promise<boolean> {
    const [isLoaded] = (await redis.script('EXISTS', appendScript(part).sha)) as number[];
    return (
      isLoaded === 1 &&
      kept.run === server.runId &&
      kept.epoch > 0 &&
      kept.head >= seenOf(this.#deps.report(), part, kept.epoch)
    );
  }

  async #recover(part: number, redis: Redis, server: ServerFacts): Promise<boolean> {
    const { record } = this.#deps;
    const keys = partKeys(part);
    const reports = await this.#reports(part, server.runId);
    if (reports === null) return false;
    const kept = await readMeta(redis, keys);
    const recorded = (await record.epochs())[part] ?? NEVER;
    const seen = Math.max(...reports.map((report) => seenOf(report, part, recorded.epoch)));
    const isKnown = kept.epoch > 0 && kept.epoch === recorded.epoch;
    const isWhole = isKnown && kept.head >= Math.max(seen, recorded.stored) && keepsAll(kept, server);
    if (!isWhole) {
      const { epoch, stored } = await record.beginEpoch(part, recorded.epoch);
      // Before the first epoch of all there were no keys.
      const longWayMs = recorded.epoch === 0 ? 0 : LONG_WAY_MS;
      await redis.eval(BEGIN.text, 3, keys.log, keys.meta, keys.heads, epoch, recorded.epoch, stored, longWayMs);
    }
    await redis.hset(keys.meta, 'run', server.runId);
    await redis.script('LOAD', appendScript(part).text);
    return true;
  }

  /** What all live nodes have read; null while one of them may still be reading from an earlier life of the server. */
  async #reports(part: number, runId: string): Promise<readonly NodeReport[] | null> {
    const own = this.#deps.report();
    const others = (await this.#deps.record.liveNodes()).filter(({ node }) => node !== own.node);
    const reports = [own, ...others];
    return reports.some(({ runs }) => (runs[part] ?? runId) !== runId) ? null : reports;
  }
}

/** Offsets of another epoch say nothing about this one. */
function seenOf({ epochs, seen }: NodeReport, part: number, epoch: number): number {
  return epochs[part] === epoch ? (seen[part] ?? 0) : 0;
}

const NEVER: PartRecord = { epoch: 0, stored: 0 };

interface Meta {
  readonly epoch: number;
  readonly head: number;
  readonly run: string;
}

async function readMeta(redis: Redis, keys: PartKeys): Promise<Meta> {
  const [epoch, head, run] = await redis.hmget(keys.meta, 'epoch', 'head', 'run');
  return { epoch: Number(epoch ?? 0), head: Number(head ?? 0), run: run ?? '' };
}

/** Whether a server still has all that it acknowledged: the same life of it, or a restart with every write synced. */
function keepsAll(kept: Meta, server: ServerFacts): boolean {
  return kept.run === server.runId || (server.durability === 'always' && !server.wasReplica);
}
