// The log of the cluster mode: one Redis stream a part, read by every node from its own position. What one call of the
// append script adds is one entry of the stream, its changes joined; an entry's id is the offset of its last change, so
// offsets are dense and a gap is seen. A part that lost something goes on under a new epoch (log-recovery.ts).
import { Redis } from 'ioredis';
import { ChatError } from '../../errors.ts';
import {
  type Append,
  type Appended,
  type Change,
  type Log,
  type LogState,
  type Position,
  PositionLost,
  type Receipt,
  type Tail,
} from '../../ports/log.ts';
import type { LogIdentity, LogRecord } from '../../ports/log-record.ts';
import type { ConvId, Key, Millis, UserId } from '../../protocol/ids.ts';
import { Feed, feedTail } from '../feed.ts';
import { connected, directConnection, logClient, type RedisClient } from './connection.ts';
import { Appender, type CallAnswer, type Lookback } from './log-appender.ts';
import { epochOf, packEpochs } from './log-epochs.ts';
import { NODE_GROUP, partKeys, partOf } from './log-keys.ts';
import { NodeLease } from './log-lease.ts';
import { readPage } from './log-pages.ts';
import { metaOf, metasOf, Reader, type ReadPart, SILENT_MS, seenIn } from './log-reader.ts';
import { Recovery } from './log-recovery.ts';
import { MEND, TRIM } from './log-scripts.ts';
import { type Durability, readServer, refuseUnfit } from './server-facts.ts';

const MAX_SET_ASIDE = 10_000;
/** Entries looked at in one go for those that are not the log's. */
const MEND_ENTRIES = 1_000;

export interface RedisLogOptions {
  /** As `logClient` takes them. */
  readonly urls: string;
  readonly parts: number;
  /** This node's name: no other live one has it. */
  readonly node: string;
  /** Whether this node carries the log into the store. */
  readonly persists: boolean;
  readonly record: LogRecord;
  readonly lookback: Lookback;
  /** Bytes of untrimmed changes, of all parts together, above which appends are refused. */
  readonly budgetBytes: number;
  /** The weakest class that is accepted; a weaker server is refused. */
  readonly durability?: Durability;
  /** A part had to begin anew for this node: its tails are lost. */
  readonly onLost?: (part: number, reason: string) => void;
  /** Somebody has put entries into the stream of a part; they have been taken out. */
  readonly onForeign?: (part: number, count: number) => void;
  /** For tests: instead of the server's clock. */
  readonly now?: () => Millis;
}

/**
 * Opens the log, and makes it where there is none.
 * @throws StartError it is cut into another number of parts, or its server is not fit for it
 */
export async function openRedisLog(options: RedisLogOptions): Promise<RedisLog> {
  const identity = await options.record.open(options.parts);
  const client = logClient(options.urls);
  client.on('error', () => undefined);
  const log = new RedisLog(options, identity, client);
  try {
    await connected(client);
    await log.start();
    return log;
  } catch (error) {
    // Or its client would go on trying to connect for ever.
    await log.close();
    throw error;
  }
}

export class RedisLog implements Log {
  readonly #options: RedisLogOptions;
  readonly #identity: LogIdentity;
  readonly #client: RedisClient;
  readonly #parts: ReadPart[] = [];
  readonly #readers: Reader[] = [];
  readonly #recovery: Recovery;
  readonly #appender: Appender;
  readonly #lease: NodeLease;
  #foreignEntries = 0;
  #indexes: Promise<Position> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RedisLogOptions, identity: LogIdentity, client: RedisClient) {
    this.#options = options;
    this.#identity = identity;
    this.#client = client;
    const { record, node, persists, parts, lookback, now } = options;
    this.#lease = new NodeLease(
      { client, record, node, persists, parts: this.#parts, onGroupMissing: (part) => this.#onContradiction(part) },
      parts,
    );
    this.#recovery = new Recovery({ client, record, id: identity.id, node, report: () => this.#lease.report, now });
    this.#appender = new Appender({ parts, lookback, call: (part, items) => this.#call(part, items) });
  }

  async start(): Promise<void> {
    await this.#refuseUnfit();
    const numbers = Array.from({ length: this.#options.parts }, (_, part) => part);
    await Promise.all(numbers.map((part) => this.#recovery.open(part)));
    for (const part of numbers) {
      this.#parts.push({ part, feed: await this.#feedOf(part), appended: 0 });
    }
    await this.#lease.start();
    // A Redis Cluster reads several streams at once only where they share a slot.
    const shares = this.#client.isCluster ? this.#parts.map((part) => [part]) : [this.#parts];
    for (const share of shares) this.#startReader(share);
  }

  async append(items: readonly Append[]): Promise<readonly Appended[]> {
    this.#refuseClosed();
    return this.#appender.append(items);
  }

  async recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null> {
    this.#refuseClosed();
    return this.#options.lookback.recall(conv, user, key);
  }

  tail(after: Position, parts?: readonly number[]): Tail {
    const feeds = this.#parts.map(({ part, feed }) => (parts === undefined || parts.includes(part) ? feed : undefined));
    return feedTail(feeds, after);
  }

  /** One wave of reads for all who ask before it is sent; who asks later needs the next one (law 10). */
  readIndex(): Promise<Position> {
    this.#indexes ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#indexes = undefined;
      return this.#readHeads();
    });
    return this.#indexes;
  }

  async #readHeads(): Promise<Position> {
    try {
      this.#refuseClosed();
      const metas = await metasOf(
        this.#client,
        this.#parts.map(({ part }) => part),
      );
      if (metas.some(({ epoch }, part) => epoch !== this.#parts[part]?.feed.epoch))
        throw new Error('an epoch has ended');
      return metas.map(({ head }) => head);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  state(): LogState {
    return {
      epoch: packEpochs(
        this.#identity,
        this.#parts.map(({ feed }) => feed.epoch),
      ),
      head: this.#parts.map(seenIn),
      trimmed: this.#parts.map(({ feed }) => feed.trimmed),
    };
  }

  sameEpoch(conv: ConvId, packed: string): boolean {
    const part = partOf(conv, this.#parts.length);
    return epochOf(packed, this.#identity, part) === this.#parts[part]?.feed.epoch;
  }

  async trim(upTo: Position): Promise<void> {
    this.#refuseClosed();
    await Promise.all(this.#parts.map((read) => this.#trimPart(read, upTo[read.part] ?? 0)));
  }

  /** Every live node has read what goes; those that are dead are not waited for. */
  async #trimPart(read: ReadPart, upTo: number): Promise<void> {
    const { part, feed } = read;
    const { log, meta, heads } = partKeys(part);
    if (upTo <= feed.trimmed) return;
    try {
      await this.#lease.beforeTrim(read);
      const trimmed = await this.#client.eval(TRIM.text, 3, log, meta, heads, feed.epoch, upTo, NODE_GROUP);
      if (Number(trimmed) > feed.trimmed) feed.forget(Number(trimmed));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** What it needs and cannot ask now. */
  get missing(): readonly string[] {
    return this.#lease.missing;
  }

  /** Taken out of the streams by this node. */
  get foreignEntries(): number {
    return this.#foreignEntries;
  }

  /** Keeps a change that the store can never take in a stream beside the log, for people to look at. */
  async setAside({ part, offset, wire }: Change, reason: string): Promise<void> {
    const limit = ['MAXLEN', '~', MAX_SET_ASIDE] as const;
    await this.#client.xadd(partKeys(part).dead, ...limit, '*', 'offset', offset, 'reason', reason, 'w', wire);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#appender.idle();
    this.#recovery.close();
    await Promise.all(this.#readers.map((reader) => reader.close()));
    for (const { feed } of this.#parts) feed.end();
    await this.#lease.stop();
    this.#client.disconnect();
  }

  /** @throws StartError */
  async #refuseUnfit(): Promise<void> {
    const servers = this.#client instanceof Redis ? [this.#client] : this.#client.nodes('master');
    for (const server of servers) refuseUnfit(await readServer(server), this.#options.durability ?? 'always');
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw unavailable(new Error('the log is closed'));
  }

  async #call(part: number, items: readonly string[]): Promise<CallAnswer> {
    const read = this.#parts[part] as ReadPart;
    try {
      const answer = await this.#evaluate(read, items);
      if (answer[0] !== 'stuck') return answer;
      // Nothing is written; it can be asked again.
      await this.#mend(part, seenIn(read));
      return await this.#evaluate(read, items);
    } catch (error) {
      // The server has restarted, has taken over from another, or is the replica of one that did.
      if (/^(NOSCRIPT|READONLY)/.test((error as Error).message)) void this.#recovery.open(part);
      throw error;
    }
  }

  async #evaluate(read: ReadPart, items: readonly string[]): Promise<CallAnswer> {
    const { part, feed } = read;
    const { log, meta, heads, receipts, ahead } = partKeys(part);
    const { budgetBytes, parts, now } = this.#options;
    const facts = [feed.epoch, seenIn(read), Math.floor(budgetBytes / parts), now?.() ?? '', ...items];
    const { sha } = this.#recovery.scriptOf(part);
    const answer = (await this.#client.evalsha(sha, 5, log, meta, heads, receipts, ahead, ...facts)) as CallAnswer;
    if (answer[0] === 'epoch' || answer[0] === 'short') this.#onContradiction(part);
    // Unless the part has begun anew meanwhile: the number is of before.
    else if (read.feed === feed) read.appended = Math.max(read.appended, answer[3]);
    return answer;
  }

  #onContradiction(part: number): void {
    for (const reader of this.#readers) reader.suspect();
    void this.#recovery.open(part);
  }

  #startReader(parts: readonly ReadPart[]): void {
    const [first] = parts as readonly [ReadPart];
    const reader = new Reader({
      parts,
      connect: () => directConnection(this.#client, partKeys(first.part).meta, SILENT_MS),
      onConnected: async (redis) => this.#lease.onConnected(parts, (await readServer(redis)).runId),
      onDisconnected: () => this.#lease.onDisconnected(parts),
      open: (part) => this.#recovery.open(part),
      renew: (read, reason) => this.#renew(read, reason),
      mend: (part, after) => this.#mend(part, after),
    });
    this.#readers.push(reader);
    reader.start();
  }

  async #renew(read: ReadPart, reason: string): Promise<void> {
    const { feed } = read;
    read.feed = await this.#feedOf(read.part);
    read.appended = 0;
    feed.end(new PositionLost(`part ${read.part} of the log: ${reason}`));
    this.#options.onLost?.(read.part, reason);
  }

  async #mend(part: number, after: number): Promise<number> {
    const { log, meta, dead } = partKeys(part);
    const facts = [after, MEND_ENTRIES, MAX_SET_ASIDE];
    const count = Number(await this.#client.eval(MEND.text, 3, log, meta, dead, ...facts));
    if (count === 0) return 0;
    this.#foreignEntries += count;
    this.#options.onForeign?.(part, count);
    return count;
  }

  /** A feed that begins at the part's head. */
  async #feedOf(part: number): Promise<Feed> {
    const { epoch, head, trimmed } = await metaOf(this.#client, part);
    return new Feed({
      epoch,
      head,
      trimmed,
      parts: this.#options.parts,
      readPage: (after) => readPage(this.#client, part, epoch, after).catch(refuseUnavailable),
      readHead: async () => (await metaOf(this.#client, part)).head,
    });
  }
}

function refuseUnavailable(cause: unknown): never {
  throw unavailable(cause);
}

function unavailable(cause: unknown): ChatError {
  return cause instanceof ChatError ? cause : new ChatError('unavailable', { cause });
}
