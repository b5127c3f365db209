// A run under faults from the first write to the verdict: writers in a world, a server that comes and goes, and at the end
// quiet, a final read, the files' own word, and the checker.

import { type Random, random } from '../kit/random.ts';
import { eventually, soon } from '../kit/waiting.ts';
import { check, type Finding } from './checker.ts';
import { dumpFolder } from './dump.ts';
import { type Dump, type Event, type Evidence, type FinalRead, keepEvidence, nameOf } from './evidence.ts';
import { makeWorld, type World } from './world.ts';
import { Writer } from './writer.ts';

/** What this file needs of a tap test. */
interface Test {
  teardown(end: () => unknown): void;
  fail(message: string): unknown;
  comment(message: string): unknown;
  same(found: unknown, wanted: unknown, message: string): unknown;
}

/** A server as writers find it. */
export interface Place {
  readonly url: string;
  readonly socketUrl: string;
}

export interface RunOptions {
  readonly isPlain?: boolean;
  /** Texts as long as they may be, so that sockets fill. */
  readonly hasLongTexts?: boolean;
  /** Requests each writer has under way at once. */
  readonly window?: number;
  /** Something acknowledged will be lost: repeated with other content, it would be another change. */
  readonly isLosing?: boolean;
  /** Chosen by chance, or by CHAT_TEST_SEED, where not told. */
  readonly seed?: number;
  /** What a client sees that must not be; fails the test where not told otherwise. */
  readonly onFault?: (text: string) => unknown;
}

export const isOk = ({ is }: Event) => is === 'ok';
export const isReady = ({ is }: Event) => is === 'ready';
/** A write that could not be taken now, with one of these codes. */
export const isRefused = (codes: RegExp) => (event: Event) => event.is === 'info' && codes.test(event.code);

/** What is told of many findings. */
const TOLD = 20;

export class Run {
  readonly random: Random;
  readonly world: World;
  readonly writers: readonly Writer[];
  readonly #test: Test;
  #finals: FinalRead[] = [];

  /** Prints its seed. */
  static async begin(t: Test, server: Place, options: RunOptions = {}): Promise<Run> {
    const { seed = random().seed } = options;
    t.comment(`seed ${seed}; CHAT_TEST_SEED=${seed} chooses the same faults again`);
    const chance = random(seed);
    const onFault = options.onFault ?? ((text: string) => t.fail(`seed ${seed}: ${text}`));
    const world = await makeWorld(server.url, chance, options, onFault);
    return new Run(t, world, chance);
  }

  constructor(t: Test, world: World, chance: Random) {
    this.#test = t;
    this.world = world;
    this.random = chance;
    this.writers = world.writers.map((account) => new Writer(world, account));
    t.teardown(() => this.end());
  }

  /** Writers find the server here, or the servers. */
  meet(...servers: readonly Place[]): void {
    this.world.door.open(...servers.map(({ socketUrl }) => socketUrl));
  }

  /** They do not find it any more. */
  part(): void {
    this.world.door.shut();
  }

  /** Resolves in the moment as many events of a kind have come from now on: acknowledgements where not told otherwise. */
  async after(count: number, isWanted: (event: Event) => boolean = isOk): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.world.history.after(count, isWanted, resolve);
    await soon(promise, () => `not ${count} times ${isWanted}`).finally(stop);
  }

  /**
   * Everything answered, everybody everywhere, everything pushed; then read from the beginning.
   * @param servers where there are several: through each of them
   */
  async comeToRest(...servers: readonly Place[]): Promise<void> {
    await Promise.all(this.writers.map((writer) => writer.settle()));
    this.#finals = [];
    if (servers.length === 0) await this.#readAll();
    for (const server of servers) {
      this.meet(server);
      await this.hangUp();
      await this.#readAll();
    }
  }

  async #readAll(): Promise<void> {
    const { groups, room, history } = this.world;
    await eventually(async () => {
      // The push that tells somebody they are out may come long after the `ok` of their leaving.
      for (const writer of this.writers) await writer.come();
      return (this.writers.every(({ isLive }) => isLive) && this.#isEven()) || this.#unrest();
    });
    history.add({ is: 'quiet' });
    for (const writer of this.writers) {
      for (const conv of [...groups, room]) this.#finals.push(await writer.readAll(conv));
    }
  }

  /** All writers at once; they come back where they find a door open. */
  async hangUp(): Promise<void> {
    await Promise.all(this.writers.map((writer) => writer.hangUp()));
  }

  goOn(): void {
    for (const writer of this.writers) writer.goOn();
  }

  #isEven(): boolean {
    return new Set(this.writers.map((writer) => this.#placesOf(writer))).size === 1;
  }

  #placesOf(writer: Writer): string {
    return [...this.world.groups, this.world.room].map((conv) => writer.cursors()[conv]).join(' ');
  }

  /** @throws who is where */
  #unrest(): never {
    const told = this.writers.map((writer) => {
      return `${writer.account.name} ${writer.isLive ? 'live' : 'not live'} at ${this.#placesOf(writer)}`;
    });
    throw new Error(`they do not come to rest: ${told.join('; ')}`);
  }

  async end(): Promise<void> {
    this.world.door.lock();
    await Promise.all(this.writers.map((writer) => writer.end()));
  }

  /** @param files the data folder of a server that has ended, or what a cluster's services hold */
  async evidence(files: string | Dump): Promise<Evidence> {
    const dump = typeof files === 'string' ? await dumpFolder(files) : files;
    return { events: this.world.history.events, finals: this.#finals, dump };
  }

  /** The checker finds nothing. */
  async verify(files: string | Dump, what: string): Promise<void> {
    const evidence = await this.evidence(files);
    this.judge(evidence, check(evidence), what);
  }

  judge(evidence: Evidence, findings: readonly Finding[], what: string): void {
    const told = findings.slice(0, TOLD).map(({ rule, text }) => `${rule}: ${text}`);
    if (findings.length > 0) {
      this.#test.comment(`${findings.length} findings; the evidence is in ${keepEvidence(this.random.seed, evidence)}`);
    }
    this.#test.same(told, [], `${what} (seed ${this.random.seed})`);
  }

  /** Writes that were made, but lost their answer: the first one that came says `dup`. */
  get answersLost(): number {
    const first = new Map<string, boolean>();
    for (const event of this.world.history.events) {
      if (event.is === 'ok' && !first.has(nameOf(event.name))) first.set(nameOf(event.name), event.dup);
    }
    return [...first.values()].filter((dup) => dup).length;
  }

  /** How much it was, for who reads the output. */
  tell(): void {
    const kindOf = (event: Event) =>
      event.is === 'info' || event.is === 'fail' ? `${event.is} ${event.code}` : event.is;
    const counts = Map.groupBy(this.world.history.events, kindOf);
    const told = [...counts].map(([is, events]) => `${events.length} ${is}`).join(', ');
    this.#test.comment(`${told}; ${this.answersLost} writes lost their first answer`);
  }
}
