// A log in Redis under audit: its streams, and what its scripts remember beside them. Sends commands that read, and no script.
import { StartError } from '../../errors.ts';
import type { LogAudit, LogEntry, LogHead, LogMemory, LogPart, NamedReceipt } from '../../ports/audit.ts';
import type { Change, Receipt } from '../../ports/log.ts';
import type { ConvId, Key, Millis } from '../../protocol/ids.ts';
import { keyTimeMs } from '../../protocol/key-time.ts';
import { connected, logClient, type RedisClient } from './connection.ts';
import { partKeys, partOf, receiptField } from './log-keys.ts';
import { changesOf, type StreamEntry } from './log-reader.ts';

/** Entries of one call; an entry is a batch of up to half a megabyte. */
const PAGE_ENTRIES = 16;
const SCAN_COUNT = 1_000;
/** Of all parts together. */
const MOST_RECEIPTS = 400_000;

/** As log-append.lua has them. */
const WINDOW_MS: Millis = 120_000;
const SLOT_MS: Millis = 10_000;
const KEPT_MS: Millis = 2 * WINDOW_MS;
/** A receipt lasts for two minutes from its append at least; the rest is for clocks that went back. */
const SURE_MS: Millis = 60_000;

/** @throws StartError one line for the operator */
export async function openRedisAudit(urls: string, parts: number): Promise<LogAudit> {
  const client = logClient(urls);
  client.on('error', () => undefined);
  try {
    await connected(client);
    return new RedisLogAudit(client, parts);
  } catch (cause) {
    client.disconnect();
    throw new StartError(`CHAT_REDIS_URL: Redis cannot be reached (${(cause as Error).message})`, { cause });
  }
}

class RedisLogAudit implements LogAudit {
  readonly memory: LogMemory;
  readonly #client: RedisClient;
  readonly #parts: number;
  #views: readonly LogPart[] = [];

  constructor(client: RedisClient, parts: number) {
    this.#client = client;
    this.#parts = parts;
    this.memory = new RedisMemory(client, parts);
  }

  async look(): Promise<readonly LogPart[]> {
    const parts = Array.from({ length: this.#parts }, (_, part) => this.#lookAt(part));
    this.#views = await Promise.all(parts);
    return this.#views;
  }

  async #lookAt(part: number): Promise<LogPart> {
    const { meta } = partKeys(part);
    const [id, ...numbers] = await this.#client.hmget(meta, 'log', 'epoch', 'head', 'trimmed');
    const [epoch = 0, head = 0, trimmed = 0] = numbers.map(Number);
    return { id: id ?? null, epoch, head, trimmed };
  }

  async *entries(part: number): AsyncGenerator<readonly LogEntry[]> {
    const { trimmed, head } = this.#views[part] as LogPart;
    const { log } = partKeys(part);
    for (let from = `${trimmed}-1`; ; ) {
      const page = (await this.#client.xrange(
        log,
        from,
        `${head}-18446744073709551615`,
        'COUNT',
        PAGE_ENTRIES,
      )) as readonly StreamEntry[];
      const last = page.at(-1);
      if (last === undefined) break;
      yield page.flatMap((entry) => entriesOf(part, entry)).filter(({ offset }) => offset > trimmed);
      from = `(${last[0]}`;
    }
    yield* this.#behind(part, head);
  }

  /** What somebody else has put at the end keeps every append out until it is taken away. */
  async *#behind(part: number, head: number): AsyncGenerator<readonly LogEntry[]> {
    const [last] = (await this.#client.xrevrange(partKeys(part).log, '+', '-', 'COUNT', 1)) as readonly StreamEntry[];
    if (last === undefined || changesOf(part, last) !== null) return;
    yield entriesOf(part, last).filter(({ offset }) => offset > head);
  }

  partOf(conv: ConvId): number {
    return partOf(conv, this.#parts);
  }

  /** The server checks its file when it loads it. */
  async *damage(): AsyncGenerator<readonly string[]> {}

  async close(): Promise<void> {
    this.#client.disconnect();
  }
}

function entriesOf(part: number, entry: StreamEntry): readonly LogEntry[] {
  const changes = changesOf(part, entry);
  if (changes === null) return [{ offset: Number.parseInt(entry[0], 10), epoch: 0, change: null }];
  return changes.list.map((change) => ({ offset: change.offset, epoch: changes.epoch, change }));
}

class RedisMemory implements LogMemory {
  readonly #client: RedisClient;
  readonly #parts: number;

  constructor(client: RedisClient, parts: number) {
    this.#client = client;
    this.#parts = parts;
  }

  async *heads(part: number): AsyncGenerator<readonly LogHead[]> {
    const { heads } = partKeys(part);
    let cursor = '0';
    do {
      const [next, fields] = await this.#client.hscan(heads, cursor, 'COUNT', SCAN_COUNT);
      yield pairsOf(fields).map(([conv, text]) => headOf(conv as ConvId, text));
      cursor = next;
    } while (cursor !== '0');
  }

  async headsOf(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, LogHead>> {
    const found = new Map<ConvId, LogHead>();
    for (const [part, own] of Map.groupBy(convs, (conv) => partOf(conv, this.#parts))) {
      const texts = await this.#client.hmget(partKeys(part).heads, ...own);
      for (const [index, text] of texts.entries()) {
        const conv = own[index] as ConvId;
        if (text !== null) found.set(conv, headOf(conv, text));
      }
    }
    return found;
  }

  async receipts(part: number): Promise<{ readonly receipts: readonly NamedReceipt[]; readonly isAll: boolean }> {
    const most = Math.floor(MOST_RECEIPTS / this.#parts);
    const receipts = new Map<string, NamedReceipt>();
    for (const key of await this.#slots(part)) {
      let cursor = '0';
      do {
        const [next, fields] = await this.#client.hscan(key, cursor, 'COUNT', SCAN_COUNT);
        for (const [name, text] of pairsOf(fields)) receipts.set(name, { name, ...receiptOf(text) });
        if (receipts.size > most) return { receipts: [...receipts.values()], isAll: false };
        cursor = next;
      } while (cursor !== '0');
    }
    return { receipts: [...receipts.values()], isAll: true };
  }

  /** All that can be there now: a slot more at either end, for the time this takes. */
  async #slots(part: number): Promise<readonly string[]> {
    const { prefix, nowMs } = await this.#receiptsAt(part);
    const first = slotOf(nowMs - KEPT_MS) - 2;
    const last = slotOf(nowMs + WINDOW_MS) + 1;
    return Array.from({ length: last - first + 1 }, (_, index) => `${prefix}${first + index}`);
  }

  nameOf({ conv, from, key }: Pick<Change, 'conv' | 'from' | 'key'>): string {
    return receiptField(conv, from, key as Key);
  }

  async receiptsOf(entries: readonly LogEntry[]): Promise<readonly (Receipt | null | undefined)[]> {
    const part = entries.find(({ change }) => change !== null)?.change?.part;
    if (part === undefined) return [];
    const { prefix, epoch, nowMs } = await this.#receiptsAt(part);
    const asked = entries.map((entry) => (entry.epoch === epoch ? this.#receiptOf(prefix, entry, nowMs) : undefined));
    return Promise.all(asked);
  }

  /** A key of about now is kept under its own time, any other under that of its append. */
  async #receiptOf(prefix: string, { change }: LogEntry, nowMs: Millis): Promise<Receipt | null | undefined> {
    if (change === null || change.key === null) return undefined;
    const { at, key } = change;
    const slots = new Set([slotOf(keyTimeMs(key)), slotOf(at), slotOf(at) - 1].filter((slot) => slot >= 0));
    const name = this.nameOf(change);
    const texts = await Promise.all([...slots].map((slot) => this.#client.hget(prefix + slot, name)));
    const text = texts.find((text) => text !== null);
    if (text != null) return receiptOf(text);
    return at <= nowMs && nowMs - at < SURE_MS ? null : undefined;
  }

  async #receiptsAt(
    part: number,
  ): Promise<{ readonly prefix: string; readonly epoch: number; readonly nowMs: Millis }> {
    const { meta, receipts } = partKeys(part);
    const [epoch, now] = (await this.#client.hmget(meta, 'epoch', 'now')).map(Number);
    const [seconds] = await this.#client.time();
    return { prefix: `${receipts}${epoch}:`, epoch: epoch ?? 0, nowMs: Math.max(Number(seconds) * 1_000, now ?? 0) };
  }
}

function slotOf(ms: Millis): number {
  return Math.floor(ms / SLOT_MS);
}

function pairsOf(fields: readonly string[]): (readonly [string, string])[] {
  return Array.from({ length: fields.length / 2 }, (_, index) => [
    fields[2 * index] ?? '',
    fields[2 * index + 1] ?? '',
  ]);
}

function headOf(conv: ConvId, text: string): LogHead {
  const [seq = 0, n = 0, guard = 0, at = 0, offset = 0] = text.split(' ').map(Number);
  return { conv, seq, n, guard, at, offset };
}

function receiptOf(text: string): Receipt {
  const [seq = 0, n = 0, at = 0] = text.split(' ').map(Number);
  return { seq, n, at };
}
