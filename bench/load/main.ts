// A generator process: holds connections, sends on orders, counts. Kept lean, since on a small machine it shares
// the cores with what it measures; it tells its own CPU so that a run bound by it is seen. Ends with its parent.
import { Client, type OkAnswer, type PageAnswer, type Watcher } from './client.ts';
import { CHATTERBOX, dialectOf } from './dialect.ts';
import { Histogram } from './histogram.ts';
import { Ledger } from './ledger.ts';
import { closedLoop, historyLoop, openLoop, type Stop } from './loops.ts';
import { MessageFrames, nowUs } from './message-frames.ts';
import type { Answer, Counts, Order } from './orders.ts';

class Generator implements Watcher {
  readonly ledger = new Ledger();
  readonly frames = new MessageFrames();
  clients: Client[] = [];
  dialect = CHATTERBOX;
  sent = 0;
  deliveredBytes = 0;
  ephemeral = 0;
  #acked = 0;
  #refused = 0;
  #pages = 0;
  #ready = 0;
  #dropped = 0;
  #returned = 0;
  /** Of connections that came back: conversations they have yet to catch up with. */
  readonly #catchingUp = new Map<Client, number>();
  #returning: { readonly port: number; readonly spreadMs: number } | null = null;
  readonly #trouble = new Map<string, number>();
  readonly #ack = new Histogram();
  readonly #delivery = new Histogram();
  readonly #page = new Histogram();
  #onOpened: ((ready: boolean) => void) | null = null;
  #stops: Stop[] = [];

  onReady(): void {
    this.#ready++;
    this.#onOpened?.(true);
  }

  onCaughtUp(client: Client): void {
    const left = this.#catchingUp.get(client);
    if (left === undefined) return;
    this.#catchingUp.set(client, left - 1);
    if (left > 1) return;
    this.#catchingUp.delete(client);
    this.#returned++;
  }

  onDelivery(client: Client, sentUs: number): void {
    if (!client.isSlow) this.#delivery.add(nowUs() - sentUs);
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

  onEnd(client: Client): void {
    if (client.isForgotten) return;
    if (this.#returning !== null) return this.#comeBack(client, this.#returning);
    this.#dropped++;
    this.#onOpened?.(false);
  }

  #comeBack(client: Client, { port, spreadMs }: { readonly port: number; readonly spreadMs: number }): void {
    this.#catchingUp.set(client, client.cursors.size);
    setTimeout(() => client.reopen(port), Math.random() * spreadMs);
  }

  #count(what: string): void {
    this.#trouble.set(what, (this.#trouble.get(what) ?? 0) + 1);
  }

  async handle(order: Order): Promise<Answer> {
    switch (order.do) {
      case 'connect':
        await this.#connect(order);
        return this.#counts();
      case 'disconnect':
        this.#disconnect();
        return this.#counts();
      case 'return':
        this.#returning = order;
        return this.#counts();
      case 'pause':
        for (const index of order.clients) this.clients[index]?.pause();
        return this.#counts();
      case 'unpause':
        for (const index of order.clients) this.clients[index]?.unpause();
        return this.#counts();
      case 'open-loop':
        this.#stops.push(openLoop(this, order));
        return this.#counts();
      case 'closed-loop':
        this.#stops.push(closedLoop(this, order));
        return this.#counts();
      case 'history-loop':
        this.#stops.push(historyLoop(this, order));
        return this.#counts();
      case 'stop':
        for (const stop of this.#stops.splice(0)) stop();
        return this.#counts();
      case 'counts':
        return this.#counts();
      case 'latencies':
        return { is: 'latencies', latencies: this.#takeLatencies() };
      case 'heads':
        return { is: 'heads', heads: this.ledger.heads() };
      case 'owing':
        return { is: 'owing', owing: this.#owing(order.heads) };
      case 'reckon':
        for (const client of this.clients) this.ledger.reckon(client.cursors, order.heads);
        return this.#counts();
    }
  }

  #owing(heads: Readonly<Record<string, number>>): number {
    return this.clients.reduce((sum, { cursors }) => sum + this.ledger.owing(cursors, heads), 0);
  }

  #disconnect(): void {
    for (const client of this.clients) {
      client.isForgotten = true;
      client.end();
    }
    this.clients = [];
  }

  /** Opens connections, at most `parallel` on their way at once; fails when any does not become ready. */
  #connect({ host, isSecure, dialect, clients, parallel, perSecond }: Order & { do: 'connect' }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.dialect = dialectOf(dialect);
    this.frames.dialect = this.dialect;
    let begun = 0;
    let done = 0;
    const startedAt = performance.now();
    const begin = () => {
      const waitMs = perSecond === 0 ? 0 : startedAt + (begun * 1_000) / perSecond - performance.now();
      const spec = clients[begun++];
      if (spec === undefined) return;
      const open = () => this.clients.push(new Client(spec, host, isSecure, this));
      if (waitMs > 0) setTimeout(open, waitMs);
      else open();
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
    const { delivered, pulled, repeated, reordered, lost } = this.ledger;
    const counts: Counts = {
      ready: this.#ready,
      sent: this.sent,
      acked: this.#acked,
      refused: this.#refused,
      delivered,
      pulled,
      returned: this.#returned,
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
