// Which parts of the log this node carries into the store. Every part has one carrier: of the live nodes that read it the one
// with the highest hash (rendezvous), so nobody need agree and a node that comes or goes moves only its own share. Two that
// both believe it do each other no harm: the store takes a change once (laws 1 and 3 of the store), so there is no lock to hold
// or to lose.
import type { Clock } from '../ports/clock.ts';
import type { Millis } from '../protocol/ids.ts';
import type { Persister } from './persister.ts';

const LOOK_EVERY_MS = 2_000;
/** Before a carrier that has failed is started again. */
const RETRY_MS = 1_000;

interface Options {
  readonly node: string;
  readonly parts: number;
  readonly clock: Clock;
  /** By part, the live nodes that may carry it: those that read it. */
  carriers(): Promise<readonly (readonly string[])[]>;
  /** A carrier of one part, from where the store is. */
  carrier(part: number): Persister;
  /** A carrier has failed and is started again. */
  readonly onFault: (part: number, error: unknown) => void;
}

export class Partitions {
  readonly #options: Options;
  readonly #running = new Map<number, { readonly persister: Persister; readonly ended: Promise<void> }>();
  #isStopped = false;
  #hasLooked = false;
  #looking: Promise<void> = Promise.resolve();
  #cancel: () => void = () => {};

  constructor(options: Options) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.every(LOOK_EVERY_MS, () => this.#look());
    this.#look();
  }

  /** Parts carried now. */
  get carried(): readonly number[] {
    return [...this.#running.keys()];
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#looking;
    await Promise.all([...this.#running.keys()].map((part) => this.#end(part)));
  }

  #look(): void {
    this.#looking = this.#looking.then(() => this.#settle());
  }

  async #settle(): Promise<void> {
    const { carriers, node, parts } = this.#options;
    if (this.#isStopped) return;
    // Who lives cannot be told: everything goes on as it was.
    const readers = await carriers().catch(() => null);
    if (readers === null || this.#isStopped) return;
    // The first of all nodes has begun to read, and told nobody yet.
    const first = this.#hasLooked ? null : node;
    this.#hasLooked = true;
    for (let part = 0; part < parts; part++) {
      const carrier = carrierOf(part, readers[part] ?? []) ?? first;
      // Nobody reads it: the log cannot be asked.
      if (carrier === null) continue;
      const isMine = carrier === node;
      if (isMine && !this.#running.has(part)) this.#begin(part);
      else if (!isMine && this.#running.has(part)) await this.#end(part);
    }
  }

  #begin(part: number): void {
    const persister = this.#options.carrier(part);
    const ended = persister.run().catch(async (error: unknown) => {
      this.#options.onFault(part, error);
      await this.#pause(RETRY_MS);
      if (this.#running.get(part)?.persister !== persister || this.#isStopped) return;
      this.#running.delete(part);
      this.#begin(part);
    });
    this.#running.set(part, { persister, ended });
  }

  async #end(part: number): Promise<void> {
    const running = this.#running.get(part);
    if (running === undefined) return;
    this.#running.delete(part);
    await running.persister.stop();
    await running.ended;
  }

  #pause(ms: Millis): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }
}

function carrierOf(part: number, nodes: readonly string[]): string | undefined {
  let highest = -1;
  let carrier: string | undefined;
  for (const node of nodes) {
    const hash = hashOf(`${part} ${node}`);
    if (hash > highest) [highest, carrier] = [hash, node];
  }
  return carrier;
}

/** FNV-1a with a last mix: names that differ in one letter must not come in one order for all parts. */
function hashOf(text: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
