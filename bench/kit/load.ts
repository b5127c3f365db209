// The generator as the bars see it: one or more processes behind one set of clients. Client i lives in process
// i mod processes; a source goes where its client is.

import { setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DialectName } from '../load/dialect.ts';
import { Histogram } from '../load/histogram.ts';
import type { Answer, ClientSpec, Counts, Latencies, Order, Source } from '../load/orders.ts';
import { Child } from './child.ts';

const PROGRAM = fileURLToPath(new URL('../load/main.ts', import.meta.url));
const HOST = '127.0.0.1';
const CLIENTS_PER_ADDRESS = 5_000;
/** How many connections may be on their way at once. */
const PARALLEL = 128;
/** Where the rate is what bounds them. */
const PARALLEL_AT_RATE = 1_024;
/** Nothing more is to come when nothing has come for so long. */
const PATIENCE_MS = 5_000;
const SETTLE_LOOK_MS = 50;
const LONGEST_LOOP_MS = 120_000;

export interface LoadOptions {
  readonly processes: number;
  readonly cores: string | null;
  /** Lower priority than the rest of the bench, so that a busy reader does not delay a measured one. */
  readonly background?: boolean;
}

export interface ConnectOptions {
  readonly dialect?: DialectName;
  /** The loopback where not told. */
  readonly host?: string;
  readonly isSecure?: boolean;
  /** Begun a second; left out: as fast as they become ready. */
  readonly perSecond?: number;
}

export interface Totals extends Counts {
  readonly trouble: Readonly<Record<string, number>>;
}

export interface LatencyView {
  readonly ack: Histogram;
  readonly delivery: Histogram;
  readonly page: Histogram;
}

export type LoopSpec =
  | {
      readonly kind: 'open';
      readonly rate: number;
      readonly burst?: number;
      readonly untimed?: boolean;
      readonly textBytes: number;
      readonly sources: readonly Source[];
    }
  | {
      readonly kind: 'closed';
      readonly window: number;
      readonly textBytes: number;
      readonly sources: readonly Source[];
    }
  | {
      readonly kind: 'history';
      readonly rate: number;
      readonly head: number;
      readonly limit: number;
      readonly sources: readonly Source[];
    };

export class Load {
  readonly #processes: readonly Child[];
  #clients = 0;

  constructor({ processes, cores, background }: LoadOptions) {
    this.#processes = Array.from({ length: processes }, () => new Child({ args: [PROGRAM], cores, channel: true }));
    if (background) for (const { pid } of this.#processes) setPriority(pid, 10);
  }

  /** Opens one connection a token, on the ports in turn; resolves when all are ready. */
  async connect(ports: readonly number[], tokens: readonly string[], options: ConnectOptions = {}): Promise<void> {
    const { dialect = 'chatterbox', perSecond = 0, host = HOST, isSecure = false } = options;
    const first = this.#clients;
    this.#clients += tokens.length;
    const clients = tokens.map((token, index): ClientSpec => {
      const from = host === HOST ? addressOf(first + index) : null;
      return { token, from, port: ports[(first + index) % ports.length] as number };
    });
    await this.#askEach((process) => ({
      do: 'connect',
      dialect,
      host,
      isSecure,
      clients: clients.filter((_, index) => (first + index) % this.#processes.length === process),
      parallel: Math.ceil((perSecond === 0 ? PARALLEL : PARALLEL_AT_RATE) / this.#processes.length),
      perSecond: perSecond / this.#processes.length,
    }));
  }

  /** Ends all connections. */
  async disconnect(): Promise<void> {
    await this.#askEach(() => ({ do: 'disconnect' }));
    this.#clients = 0;
  }

  /** Connections that end from now on come back on this port, each after a random wait. */
  async comeBackOn(port: number, spreadMs: number): Promise<void> {
    await this.#askEach(() => ({ do: 'return', port, spreadMs }));
  }

  async pause(clients: readonly number[]): Promise<void> {
    await this.#askEach((process) => ({ do: 'pause', clients: this.#ownOf(clients, process) }));
  }

  async unpause(clients: readonly number[]): Promise<void> {
    await this.#askEach((process) => ({ do: 'unpause', clients: this.#ownOf(clients, process) }));
  }

  /** By their indices in the process. */
  #ownOf(clients: readonly number[], process: number): number[] {
    const count = this.#processes.length;
    return clients.filter((client) => client % count === process).map((client) => Math.floor(client / count));
  }

  /** Beside those that run; `settle` ends them all. */
  async begin(spec: LoopSpec, maxMs = LONGEST_LOOP_MS): Promise<void> {
    const { sources } = spec;
    await this.#askEach((process) => {
      const own = sources
        .filter(({ client }) => client % this.#processes.length === process)
        .map(({ client, conv }) => ({ client: Math.floor(client / this.#processes.length), conv }));
      return own.length === 0 ? { do: 'counts' } : loopOrder(spec, own, own.length / sources.length, maxMs);
    });
  }

  async counts(): Promise<Totals> {
    return totalsOf(await this.#askEach(() => ({ do: 'counts' })));
  }

  /** Times since the last call. */
  async takeLatencies(): Promise<LatencyView> {
    const view = { ack: new Histogram(), delivery: new Histogram(), page: new Histogram() };
    for (const answer of await this.#askEach(() => ({ do: 'latencies' }))) {
      if (answer.is === 'latencies') mergeInto(view, answer.latencies);
    }
    return view;
  }

  /** Stops sending, waits until all that was given a number has come, or nothing comes any more; counts what never came. */
  async settle(): Promise<Totals> {
    await this.#askEach(() => ({ do: 'stop' }));
    let before = -1;
    let movedAt = performance.now();
    while (performance.now() - movedAt < PATIENCE_MS) {
      const totals = await this.counts();
      const isAnswered = totals.acked + totals.refused + totals.pages >= totals.sent;
      if (isAnswered && (await this.#owing()) === 0) break;
      const now = totals.acked + totals.pages + totals.delivered + totals.pulled;
      if (now !== before) movedAt = performance.now();
      before = now;
      await delay(SETTLE_LOOK_MS);
    }
    const heads = await this.#heads();
    return totalsOf(await this.#askEach(() => ({ do: 'reckon', heads })));
  }

  async #owing(): Promise<number> {
    const heads = await this.#heads();
    const answers = await this.#askEach(() => ({ do: 'owing', heads }));
    return answers.reduce((sum, answer) => sum + (answer.is === 'owing' ? answer.owing : 0), 0);
  }

  /** The last number given in each conversation, as far as these clients were told. */
  async #heads(): Promise<Record<string, number>> {
    const heads: Record<string, number> = {};
    for (const answer of await this.#askEach(() => ({ do: 'heads' }))) {
      if (answer.is !== 'heads') continue;
      for (const [conv, seq] of Object.entries(answer.heads)) heads[conv] = Math.max(seq, heads[conv] ?? 0);
    }
    return heads;
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()));
  }

  async #askEach(order: (process: number) => Order): Promise<Answer[]> {
    const answers = (await Promise.all(this.#processes.map((child, process) => child.ask(order(process))))) as Answer[];
    for (const answer of answers) if (answer.is === 'failed') throw new Error(`load generator: ${answer.why}`);
    return answers;
  }
}

function addressOf(client: number): string {
  return `127.0.0.${2 + Math.floor(client / CLIENTS_PER_ADDRESS)}`;
}

/** A process' part of a loop: its sources, and their share of the rate. */
function loopOrder(spec: LoopSpec, sources: readonly Source[], share: number, maxMs: number): Order {
  switch (spec.kind) {
    case 'open': {
      const { rate, burst = 1, textBytes, untimed = false } = spec;
      return { do: 'open-loop', rate: rate * share, burst, textBytes, sources, untimed, maxMs };
    }
    case 'closed':
      return { do: 'closed-loop', window: spec.window, textBytes: spec.textBytes, sources, maxMs };
    case 'history':
      return { do: 'history-loop', rate: spec.rate * share, head: spec.head, limit: spec.limit, sources, maxMs };
  }
}

function mergeInto(view: LatencyView, { ack, delivery, page }: Latencies): void {
  view.ack.merge(ack);
  view.delivery.merge(delivery);
  view.page.merge(page);
}

function totalsOf(answers: readonly Answer[]): Totals {
  const totals: Record<string, number> = {};
  const trouble: Record<string, number> = {};
  for (const answer of answers) {
    if (answer.is !== 'counts') continue;
    addTo(totals, Object.entries(answer.counts));
    addTo(trouble, Object.entries(answer.trouble));
  }
  return { ...(totals as unknown as Counts), trouble };
}

function addTo(totals: Record<string, number>, entries: readonly (readonly [string, number])[]): void {
  for (const [name, value] of entries) totals[name] = (totals[name] ?? 0) + value;
}
