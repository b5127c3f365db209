// What this node tells the others about itself: that it lives, from which life of Redis it reads each part, and how far it
// has read. On record in the store's database, so that a Redis that comes back can be compared with it; and as the node's
// group in each stream, where the trim waits for it and operators see its lag (XINFO GROUPS).
import type { LogRecord, NodeReport } from '../../ports/log-record.ts';
import type { RedisClient } from './connection.ts';
import { NODE_GROUP, partKeys } from './log-keys.ts';
import { metaOf, type ReadPart, seenIn } from './log-reader.ts';

const REPORT_EVERY_MS = 2_000;
export const LEASE_MS = 10_000;

interface Deps {
  readonly client: RedisClient;
  readonly record: LogRecord;
  readonly node: string;
  readonly persists: boolean;
  readonly parts: readonly ReadPart[];
  /** As at the start, or because somebody has emptied Redis. */
  onGroupMissing(part: number): void;
}

export class NodeLease {
  readonly #deps: Deps;
  /** As last put on record. */
  #runs: readonly (string | null)[];
  readonly #isConnected: boolean[];
  /** One report at a time: a later one must not be overtaken by an earlier. */
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isOnRecord = false;

  constructor(deps: Deps, parts: number) {
    this.#deps = deps;
    this.#runs = new Array<null>(parts).fill(null);
    this.#isConnected = new Array<boolean>(parts).fill(false);
  }

  get report(): NodeReport {
    const { node, persists, parts } = this.#deps;
    return {
      node,
      persists,
      runs: this.#runs,
      epochs: parts.map(({ feed }) => feed.epoch),
      seen: parts.map(seenIn),
    };
  }

  /** What cannot be asked now: the log's server, the database of its record. */
  get missing(): readonly ('redis' | 'mongodb')[] {
    const isCut = this.#isConnected.some((isConnected) => !isConnected);
    return [...(isCut ? ['redis' as const] : []), ...(this.#isOnRecord ? [] : ['mongodb' as const])];
  }

  async start(): Promise<void> {
    await this.#inTurn(() => this.#put(this.#runs));
    await Promise.all(this.#deps.parts.map((read) => this.#tellGroup(read)));
    this.#timer = setInterval(() => void this.#inTurn(() => this.#tell()).catch(() => undefined), REPORT_EVERY_MS);
  }

  /** The same life of the server goes on without a word; another one begins with what was seen of the last on record. */
  onConnected(parts: readonly ReadPart[], runId: string): Promise<void> {
    for (const { part } of parts) this.#isConnected[part] = true;
    return this.#inTurn(async () => {
      if (parts.every(({ part }) => this.#runs[part] === runId)) return;
      await this.#put(this.#runs.map((run, part) => (parts.some((read) => read.part === part) ? runId : run)));
    });
  }

  onDisconnected(parts: readonly ReadPart[]): void {
    for (const { part } of parts) this.#isConnected[part] = false;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const { client, record, node, parts } = this.#deps;
    await this.#inTurn(() => record.leave(node)).catch(() => undefined);
    const leave = parts.map(({ part }) => client.xgroup('DESTROY', partKeys(part).log, NODE_GROUP + node));
    await Promise.allSettled(leave);
  }

  /** The trim waits for every group there is: this node's is brought up to date, those of dead nodes are taken away. */
  async beforeTrim(read: ReadPart): Promise<void> {
    await this.#tellGroup(read);
    await this.#reap(read.part);
  }

  async #reap(part: number): Promise<void> {
    const { client, record } = this.#deps;
    const { log } = partKeys(part);
    const groups = namesOf(await client.xinfo('GROUPS', log)).filter((name) => name.startsWith(NODE_GROUP));
    const live = (await record.liveNodes()).map(({ node }) => NODE_GROUP + node);
    for (const group of groups) if (!live.includes(group)) await client.xgroup('DESTROY', log, group);
  }

  /** A part that is not read is told as such: nobody need wait for what this node has seen of it. */
  async #tell(): Promise<void> {
    await this.#put(this.#runs.map((run, part) => (this.#isConnected[part] ? run : null)));
    await Promise.all(this.#deps.parts.map((read) => this.#tellGroup(read)));
    await Promise.all(this.#deps.parts.map((read) => this.#hearTrimmed(read)));
  }

  /** Others trim too; what they have let go of is kept in no memory. */
  async #hearTrimmed({ part, feed }: ReadPart): Promise<void> {
    const { epoch, trimmed } = await metaOf(this.#deps.client, part);
    if (epoch === feed.epoch && trimmed > feed.trimmed) feed.forget(trimmed);
  }

  async #put(runs: readonly (string | null)[]): Promise<void> {
    this.#isOnRecord = await this.#deps.record.keepAlive({ ...this.report, runs }, LEASE_MS).then(
      () => true,
      (error: unknown) => {
        this.#isOnRecord = false;
        throw error;
      },
    );
    this.#runs = runs;
  }

  async #tellGroup({ part, feed }: ReadPart): Promise<void> {
    const { client, node } = this.#deps;
    const { log } = partKeys(part);
    const position = `${feed.head}-0`;
    try {
      await client.xgroup('SETID', log, NODE_GROUP + node, position);
    } catch (error) {
      if (!/NOGROUP|requires the key/i.test((error as Error).message)) throw error;
      this.#deps.onGroupMissing(part);
      await client.xgroup('CREATE', log, NODE_GROUP + node, position, 'MKSTREAM');
    }
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** The names in an answer of XINFO GROUPS: maps by RESP3, flat lists of fields by RESP2. */
function namesOf(groups: unknown): string[] {
  return (groups as readonly (readonly unknown[] | { readonly name: string })[]).map((group) =>
    'name' in group ? group.name : String(group[group.indexOf('name') + 1]),
  );
}
