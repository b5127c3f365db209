// Reads parts of the log into their feeds: `XREAD` from this node's own position, over a connection that does nothing else
// and lives as long as one life of the server. Not by XREADGROUP NOACK: that is a write (an fsync a call), and it loses what
// was in a reply that was cut off. Where the log cannot go on without a gap the feed ends, and its tails are lost. What
// somebody else has put into a stream is taken out of it, and read past.
import { Redis } from 'ioredis';
import type { Change } from '../../ports/log.ts';
import { changeFrom, type Feed } from '../feed.ts';
import type { RedisClient } from './connection.ts';
import { partKeys } from './log-keys.ts';

/** A call waits this long for news; a server that says nothing for three times as long is given up. */
const BLOCK_MS = 1_000;
export const SILENT_MS = 3_000;
/** Entries of one reply and part; an entry is a batch of up to half a megabyte. */
const MAX_ENTRIES = 16;
/** After a pause this long (a stopped process) the log may have been trimmed past this node. */
const PAUSE_MS = 3_000;
const RETRY_MS = 100;

export type StreamEntry = readonly [id: string, fields: readonly string[]];

/** A part as this node knows it. */
export interface ReadPart {
  readonly part: number;
  /** Another one once the part had to begin anew. */
  feed: Feed;
  /** The last change this node has appended, of the feed's epoch. */
  appended: number;
}

/** The last change this node knows to be durable, read or not. */
export function seenIn({ feed, appended }: ReadPart): number {
  return Math.max(feed.head, appended);
}

interface Deps {
  readonly parts: readonly ReadPart[];
  connect(): Promise<Redis>;
  /** Before anything is read from a life of the server; resolves when what was read from the one before is on record. */
  onConnected(redis: Redis): Promise<void>;
  onDisconnected(): void;
  /** Makes sure that the part can be appended to; resolves when it can. */
  open(part: number): Promise<void>;
  /** The part cannot go on for this node: gives it a new feed. */
  renew(read: ReadPart, reason: string): Promise<void>;
  /** Takes out of a part's stream what is not the log's. @returns how much it was */
  mend(part: number, after: number): Promise<number>;
}

export class Reader {
  readonly #deps: Deps;
  #redis: Redis | undefined;
  #isClosed = false;
  #isSuspect = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  start(): void {
    this.#ended = this.#run();
  }

  /** Something contradicts what this node knows of its parts: they are checked before anything more is read. */
  suspect(): void {
    this.#isSuspect = true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#redis?.disconnect();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      // A failure is a connection that was lost or could not be had; the next one checks what has become of the log.
      await this.#session().catch(() => undefined);
      this.#redis?.disconnect();
      this.#redis = undefined;
      this.#deps.onDisconnected();
      if (!this.#isClosed) await pause(RETRY_MS);
    }
  }

  async #session(): Promise<void> {
    const redis = await this.#deps.connect();
    this.#redis = redis;
    await this.#deps.onConnected(redis);
    for (let lastMs = Number.NEGATIVE_INFINITY; !this.#isClosed; ) {
      const nowMs = performance.now();
      if (this.#isSuspect || nowMs - lastMs > PAUSE_MS) await this.#verify(redis);
      lastMs = nowMs;
      await this.#read(redis);
    }
  }

  async #read(redis: Redis): Promise<void> {
    const { parts } = this.#deps;
    const keys = parts.map(({ part }) => partKeys(part).log);
    const positions = parts.map(({ feed }) => `${feed.head}-0`);
    const words = ['COUNT', MAX_ENTRIES, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...positions].map(String);
    const reply = streamsOf(await redis.call('XREAD', ...words));
    for (const [stream, entries] of reply) {
      const read = parts[keys.indexOf(stream)];
      if (read !== undefined) await this.#push(redis, read, entries);
    }
  }

  async #push(redis: Redis, read: ReadPart, entries: readonly StreamEntry[]): Promise<void> {
    const { part, feed } = read;
    for (const entry of entries) {
      const changes = changesOf(part, entry);
      if (changes === null || changes.epoch !== feed.epoch) return this.#passOver(redis, read, entry);
      const first = changes.list[0]?.offset ?? 0;
      const { head } = feed;
      if (first > head + 1) return this.#onGap(read, first);
      feed.push(first <= head ? changes.list.slice(head + 1 - first) : changes.list);
    }
  }

  /** Something is missing before it; unless somebody else has put it there, beyond the part's own end. */
  async #onGap(read: ReadPart, first: number): Promise<void> {
    const { head } = read.feed;
    if ((await this.#deps.mend(read.part, head)) > 0) return;
    await this.#deps.renew(read, `it goes on at ${first}, after ${head}`);
  }

  /** Not the log's, or of another epoch; unless an append has found it in its way and put its own there. */
  async #passOver(redis: Redis, read: ReadPart, [id]: StreamEntry): Promise<void> {
    const { part, feed } = read;
    if ((await this.#deps.mend(part, feed.head)) > 0) return;
    await this.#verifyPart(redis, read);
    if (read.feed !== feed) return;
    const [entry] = (await redis.xrange(partKeys(part).log, id, id)) as readonly StreamEntry[];
    if (entry === undefined || changesOf(part, entry)?.epoch === feed.epoch) return;
    await this.#deps.renew(read, `its entry ${id} cannot be read`);
  }

  async #verify(redis: Redis): Promise<void> {
    this.#isSuspect = false;
    for (const read of this.#deps.parts) await this.#verifyPart(redis, read);
  }

  /** Whether the part is still the one its feed is of, and still has what comes next. */
  async #verifyPart(redis: Redis, read: ReadPart): Promise<void> {
    // Before the log is asked: what is appended meanwhile it may not tell.
    const seen = seenIn(read);
    let meta = await metaOf(redis, read.part);
    if (meta.epoch === 0 || meta.head < seen) {
      await this.#deps.open(read.part);
      meta = await metaOf(redis, read.part);
    }
    if (meta.epoch !== read.feed.epoch) await this.#deps.renew(read, `epoch ${read.feed.epoch} has ended`);
    else if (meta.head < seen) await this.#deps.renew(read, `it ends at ${meta.head}`);
    else if (meta.trimmed > read.feed.head) await this.#deps.renew(read, `it begins after ${meta.trimmed}`);
  }
}

export interface PartMeta {
  /** 0: there is none. */
  readonly epoch: number;
  readonly head: number;
  readonly trimmed: number;
}

const META = ['epoch', 'head', 'trimmed'] as const;

export async function metaOf(redis: RedisClient, part: number): Promise<PartMeta> {
  return metaFrom(await redis.hmget(partKeys(part).meta, ...META));
}

/** Of several parts; where one server has them all, in one write. */
export async function metasOf(redis: RedisClient, parts: readonly number[]): Promise<readonly PartMeta[]> {
  if (!(redis instanceof Redis)) return Promise.all(parts.map((part) => metaOf(redis, part)));
  const pipeline = redis.pipeline();
  for (const part of parts) pipeline.hmget(partKeys(part).meta, ...META);
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, values]) => {
    if (error !== null) throw error;
    return metaFrom(values as readonly (string | null)[]);
  });
}

function metaFrom(values: readonly (string | null)[]): PartMeta {
  const [epoch = 0, head = 0, trimmed = 0] = values.map(Number);
  return { epoch, head, trimmed };
}

/** RESP3 answers with a map, which the driver gives as one flat list. */
function streamsOf(reply: unknown): [stream: string, entries: readonly StreamEntry[]][] {
  const flat = (reply ?? []) as readonly unknown[];
  const streams: [string, readonly StreamEntry[]][] = [];
  for (let index = 0; index < flat.length; index += 2) {
    streams.push([flat[index] as string, flat[index + 1] as readonly StreamEntry[]]);
  }
  return streams;
}

/** What an entry holds: consecutive changes, of one epoch; its id is the offset of the last. */
interface EntryChanges {
  readonly epoch: number;
  readonly list: readonly Change[];
}

const OFFSET_ID = /^(\d+)-0$/;

/** Null where the append script did not write it. */
export function changesOf(part: number, [id, fields]: StreamEntry): EntryChanges | null {
  const [bytes, , epochName, epoch, wireName, wires = ''] = fields;
  const [, offset] = OFFSET_ID.exec(id) ?? [];
  if (offset === undefined || bytes !== 'b' || epochName !== 'e' || wireName !== 'w') return null;
  try {
    const texts = wires.split('\n');
    const first = Number(offset) - texts.length + 1;
    return { epoch: Number(epoch), list: texts.map((wire, index) => changeFrom(part, first + index, wire)) };
  } catch {
    return null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
