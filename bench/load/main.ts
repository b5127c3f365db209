// A generator process: holds connections, sends on orders, counts. Kept lean, since on a small machine it shares
// the cores with what it measures; it tells its own CPU so that a run bound by it is seen. Ends with its parent.
import { Client, type OkAnswer, type PageAnswer, type Watcher } from './client.ts';
import { Histogram } from './histogram.ts';
import { Ledger } from './ledger.ts';
import { closedLoop, historyLoop, openLoop, type Stop } from './loops.ts';
import { MessageFrames, nowUs } from './message-frames.ts';
import type { Answer, Counts, Order } from './orders.ts';

class Generator implements Watcher {
  readonly ledger = new Ledger();
  readonly frames = new MessageFrames();
  readonly clients: Client[] = [];
  sent = 0;
  deliveredBytes = 0;
  ephemeral = 0;
  #acked = 0;
  #refused = 0;
  #pages = 0;
  #ready = 0;
  #dropped = 0;
  readonly #trouble = new Map<string, number>();
  readonly #ack = new Histogram();
  readonly #delivery = new Histogram();
  readonly #page = new Histogram();
  #onOpened: ((ready: boolean) => void) | null = null;
  #stop: Stop | null = null;

  onReady(): void {
    this.#ready++;
    this.#onOpened?.(true);
  }

  onDelivery(sentUs: number): void {
    this.#delivery.add(nowUs() - sentUs);
  }

  onOk(client: Client, answer: OkAnswer): void {
    this.#acked++;
    this.#ack.add(nowUs() - this.frames.intendedUs(answer.id));
    if (answer.conv !== undefined && answer.seq !== undefined) this.ledger.given(answer.conv, answer.seq);
    if (answer.dup) this.#count('dup');
    if (client.flush !== null) client.owed++;
  }

  onPage(_client: Client, answer: PageAnswer): void {
    this.#pages++;
    this.#page.add(nowUs() - this.frames.intendedUs(answer.id));
    this.#count(`page of ${answer.items.length}`);
  }

  onTrouble(client: Client, what: string, id: string | undefined): void {
    this.#count(what);
    if (id === undefined) return;
    this.#refused++;
    if (client.flush !== null) client.owed++;
  }

  onEnd(): void {
    this.#dropped++;
    this.#onOpened?.(false);
  }

  #count(what: string): void {
    this.#trouble.set(what, (this.#trouble.get(what) ?? 0) + 1);
  }

  async handle(order: Order): Promise<Answer> {
    switch (order.do) {
      case 'connect':
        await this.#connect(order);
        return this.#counts();
      case 'open-loop':
        this.#stop = openLoop(this, order);
        return this.#counts();
      case 'closed-loop':
        this.#stop = closedLoop(this, order);
        return this.#counts();
      case 'history-loop':
        this.#stop = historyLoop(this, order);
        return this.#counts();
      case 'stop':
        this.#stop?.();
        return this.#counts();
      case 'counts':
        return this.#counts();
      case 'latencies':
        return { is: 'latencies', latencies: this.#takeLatencies() };
      case 'heads':
        return { is: 'heads', heads: this.ledger.heads() };
      case 'reckon':
        for (const client of this.clients) this.ledger.reckon(client.cursors, order.heads);
        return this.#counts();
    }
  }

  /** Opens connections, at most `parallel` on their way at once; fails when any does not become ready. */
  #connect({ host, port, clients, parallel }: Order & { do: 'connect' }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let begun = 0;
    let done = 0;
    const begin = () => {
      const spec = clients[begun++];
      if (spec !== undefined) this.clients.push(new Client(spec, host, port, this));
    };
    this.#onOpened = (ready) => {
      if (!ready)
        return reject(new Error(`a connection did not become ready: ${[...this.#trouble.keys()].join(', ')}`));
      if (++done === clients.length) resolve();
      else begin();
    };
    if (clients.length === 0) resolve();
    for (let count = 0; count < parallel && count < clients.length; count++) begin();
    return promise.finally(() => {
      this.#onOpened = null;
    });
  }

  #takeLatencies() {
    return { ack: this.#ack.take(), delivery: this.#delivery.take(), page: this.#page.take() };
  }

  #counts(): Answer {
    const { user, system } = process.cpuUsage();
    const { delivered, repeated, reordered, lost } = this.ledger;
    const counts: Counts = {
      ready: this.#ready,
      sent: this.sent,
      acked: this.#acked,
      refused: this.#refused,
      delivered,
      deliveredBytes: this.deliveredBytes,
      ephemeral: this.ephemeral,
      pages: this.#pages,
      repeated,
      reordered,
      lost,
      dropped: this.#dropped,
      cpuUs: user + system,
    };
    return { is: 'counts', counts, trouble: Object.fromEntries(this.#trouble) };
  }
}

const generator = new Generator();

async function onOrder(order: Order): Promise<void> {
  const answer = await generator.handle(order).catch((error: Error): Answer => ({ is: 'failed', why: error.message }));
  process.send?.(answer);
}

process.on('message', (order) => void onOrder(order as Order));
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
