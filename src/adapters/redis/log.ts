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
import { directConnection, type RedisClient, redisClient } from './connection.ts';
import { Appender, type CallAnswer, type Lookback } from './log-appender.ts';
import { NODE_GROUP, partKeys, partOf } from './log-keys.ts';
import { NodeLease } from './log-lease.ts';
import { changesOf, metaOf, Reader, type ReadPart, SILENT_MS, type StreamEntry } from './log-reader.ts';
import { Recovery } from './log-recovery.ts';
import { appendScript, TRIM } from './log-scripts.ts';
import { type Durability, readServer, refuseUnfit } from './server-facts.ts';

/** Entries of a page read for a tail that is far behind. */
const PAGE_ENTRIES = 4;
const MAX_SET_ASIDE = 10_000;

export interface RedisLogOptions {
  /** As `redisClient` takes them. */
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
  /** For tests: instead of the server's clock. */
  readonly now?: () => Millis;
}

/**
 * Opens the log, and makes it where there is none.
 * @throws StartError it is cut into another number of parts, or its server is not fit for it
 */
export async function openRedisLog(options: RedisLogOptions): Promise<RedisLog> {
  const identity = await options.record.open(options.parts);
  const client = redisClient(options.urls);
  client.on('error', () => undefined);
  await client.connect();
  const log = new RedisLog(options, identity, client);
  await log.start();
  return log;
}

export class RedisLog implements Log {
  readonly #options: RedisLogOptions;
  readonly #identity: LogIdentity;
  readonly #client: RedisClient;
  readonly #parts: ReadPart[] = [];
  readonly #readers: Reader[] = [];
  /** By part, the offset of the last change this node has appended. */
  readonly #appended: number[] = [];
  readonly #recovery: Recovery;
  readonly #appender: Appender;
  readonly #lease: NodeLease;
  #indexes: Promise<Position> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RedisLogOptions, identity: LogIdentity, client: RedisClient) {
    this.#options = options;
    this.#identity = identity;
    this.#client = client;
    const { record, node, persists, parts, lookback } = options;
    this.#lease = new NodeLease(
      { client, record, node, persists, parts: this.#parts, onGroupMissing: (part) => this.#onContradiction(part) },
      parts,
    );
    this.#recovery = new Recovery({ client, record, node, report: () => this.#lease.report });
    this.#appender = new Appender({ parts, lookback, call: (part, items) => this.#call(part, items) });
  }

  async start(): Promise<void> {
    await this.#refuseUnfit();
    const numbers = Array.from({ length: this.#options.parts }, (_, part) => part);
    await Promise.all(numbers.map((part) => this.#recovery.open(part)));
    for (const part of numbers) {
      this.#parts.push({ part, feed: await this.#feedOf(part) });
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
      const metas = await Promise.all(this.#parts.map(({ part }) => metaOf(this.#client as Redis, part)));
      if (metas.some(({ epoch }, part) => epoch !== this.#parts[part]?.feed.epoch))
        throw new Error('an epoch has ended');
      return metas.map(({ head }) => head);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  state(): LogState {
    return {
      epoch: packEpochs(this.#identity, this.#parts),
      head: this.#parts.map(({ feed, part }) => Math.max(feed.head, this.#appended[part] ?? 0)),
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
    const { log, meta } = partKeys(part);
    if (upTo <= feed.trimmed) return;
    try {
      await this.#lease.beforeTrim(read);
      const trimmed = await this.#client.eval(TRIM.text, 2, log, meta, feed.epoch, upTo, NODE_GROUP);
      if (Number(trimmed) > feed.trimmed) feed.forget(Number(trimmed));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** What it needs and cannot ask now. */
  get missing(): readonly string[] {
    return this.#lease.missing;
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
    const { log, meta, heads, receipts } = partKeys(part);
    const { feed } = this.#parts[part] as ReadPart;
    const { budgetBytes, parts, now } = this.#options;
    const facts = [feed.epoch, feed.head, Math.floor(budgetBytes / parts), now?.() ?? ''];
    try {
      const script = appendScript(part).sha;
      const answer = (await this.#client.evalsha(
        script,
        4,
        log,
        meta,
        heads,
        receipts,
        ...facts,
        ...items,
      )) as CallAnswer;
      if (answer[0] === 'epoch' || answer[0] === 'short') this.#onContradiction(part);
      else this.#appended[part] = Math.max(this.#appended[part] ?? 0, answer[3]);
      return answer;
    } catch (error) {
      if ((error as Error).message.startsWith('NOSCRIPT')) void this.#recovery.open(part);
      throw error;
    }
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
    });
    this.#readers.push(reader);
    reader.start();
  }

  async #renew(read: ReadPart, reason: string): Promise<void> {
    const { feed } = read;
    read.feed = await this.#feedOf(read.part);
    this.#appended[read.part] = 0;
    feed.end(new PositionLost(`part ${read.part} of the log: ${reason}`));
    this.#options.onLost?.(read.part, reason);
  }

  /** A feed that begins at the part's head. */
  async #feedOf(part: number): Promise<Feed> {
    const { epoch, head, trimmed } = await metaOf(this.#client as Redis, part);
    const readHead = async () => (await metaOf(this.#client as Redis, part)).head;
    return new Feed(epoch, head, trimmed, (after) => this.#readPage(part, epoch, after), readHead);
  }

  async #readPage(part: number, epoch: number, after: number) {
    try {
      const entries = (await this.#client.xrange(
        partKeys(part).log,
        `${after + 1}-0`,
        '+',
        'COUNT',
        PAGE_ENTRIES,
      )) as readonly StreamEntry[];
      // Asked after the entries were read: what had been trimmed before is then told.
      const meta = await metaOf(this.#client as Redis, part);
      if (meta.epoch !== epoch || meta.trimmed > after) return null;
      const changes = entries.flatMap((entry) => changesOf(part, entry));
      return changes.filter(({ offset }) => offset > after);
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

/** One number where all parts have the same, else one a part; behind the log's id. */
function packEpochs({ id }: LogIdentity, parts: readonly ReadPart[]): string {
  const epochs = parts.map(({ feed }) => feed.epoch.toString(36));
  const isOne = epochs.every((epoch) => epoch === epochs[0]);
  return `${id}_${isOne ? epochs[0] : epochs.join('-')}`;
}

function epochOf(packed: string, { id }: LogIdentity, part: number): number | undefined {
  if (!packed.startsWith(`${id}_`)) return undefined;
  const epochs = packed.slice(id.length + 1).split('-');
  return Number.parseInt(epochs[epochs.length === 1 ? 0 : part] ?? '', 36);
}

function unavailable(cause: unknown): ChatError {
  return cause instanceof ChatError ? cause : new ChatError('unavailable', { cause });
}
