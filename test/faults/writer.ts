// Somebody who writes without pause whatever becomes of the server: sends, edits, deletes, joins, leaves and reads, many at
// once; after a lost connection it comes back with its cursors and repeats, with the same ids, what got no answer.
import { randomUUIDv7 } from 'node:crypto';
import type { Answer } from '../kit/frames.ts';
import type { Account } from '../kit/client.ts';
import { Connection, Unanswered } from '../kit/connection.ts';
import type { Since } from '../kit/observer.ts';
import { type FinalRead, type Operation } from './evidence.ts';
import { Recorder } from './recorder.ts';
import type { World } from './world.ts';

/** Requests under way at once. */
const WINDOW = 6;
/** Own messages that may still be edited or deleted. */
const REMEMBERED = 50;
/** Between two attempts where nothing else was said. */
const BACK_OFF_MS = 20;
/** Now and then a text is long: pages of the databases overflow. */
const LONG_TEXT = 3_500;

interface Own {
  readonly conv: string;
  readonly seq: number;
}

export class Writer {
  readonly account: Account;
  readonly #world: World;
  #connection: Connection | null = null;
  #recorder: Recorder | null = null;
  #since: Since | undefined;
  /** Not answered for good, in the order they were made. */
  readonly #pending = new Set<Operation>();
  readonly #own: Own[] = [];
  /** Acknowledged with a number, to be repeated now and then. */
  readonly #written: Operation[] = [];
  #count = 0;
  #isReading = false;
  #isPaused = false;
  #onSettled: (() => void) | null = null;
  readonly #over: Promise<void>;

  constructor(world: World, account: Account) {
    this.#world = world;
    this.account = account;
    this.#over = this.#run();
  }

  /** Where it stands in each conversation it is in. */
  cursors(): Readonly<Record<string, number>> {
    return this.#recorder?.cursors() ?? {};
  }

  isBehind(): boolean {
    return [...this.#world.groups, this.#world.room].some((conv) => this.#recorder?.isBehind(conv) ?? true);
  }

  /** Begins nothing new; resolves when everything has its answer. */
  async settle(): Promise<void> {
    this.#isPaused = true;
    if (this.#pending.size === 0 && !this.#isReading) return;
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve;
    });
  }

  goOn(): void {
    this.#isPaused = false;
    this.#fill();
  }

  /** Leaves for good. To be called when the door is locked. */
  async end(): Promise<void> {
    this.#connection?.ws.terminate();
    await this.#over;
  }

  /** Joins the room if it is not in it. To be called while paused. */
  async come(): Promise<void> {
    const { room } = this.#world;
    if (this.cursors()[room] === undefined) this.#begin({ ...this.#named(room), t: 'join' });
    await this.settle();
  }

  /** Everything there is of a conversation. To be called while paused. */
  async readAll(conv: string): Promise<FinalRead> {
    const connection = this.#connection;
    if (connection === null) throw new Error('not connected');
    const messages = [];
    for (let more = true; more; ) {
      const page = await connection.ask('history', { t: 'history', conv, after: messages.at(-1)?.seq ?? 0, limit: 200 });
      messages.push(...page.items);
      more = page.more === true;
    }
    const pages = [];
    for (let more = true; more; ) {
      const page = await connection.ask('sync', { t: 'sync', conv, after: pages.at(-1)?.to ?? 0, limit: 500 });
      pages.push(page);
      ({ more } = page);
    }
    return { user: this.account.id, conv, messages, pages };
  }

  // ---- connections -----------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    for (;;) {
      const url = await this.#world.door.url();
      if (url === null) return;
      await this.#live(url);
      await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS));
    }
  }

  async #live(url: string): Promise<void> {
    const { history, ledger, nextConnection } = this.#world;
    const number = nextConnection();
    const fault = (text: string) => this.#world.fault(`${this.account.name}, connection ${number}: ${text}`);
    const recorder = new Recorder({ history, ledger, connection: number, fault, onBehind: (conv) => this.#onBehind(conv) });
    const connection = new Connection(url, recorder, fault);
    this.#recorder = recorder;
    if (await this.#greet(connection, fault)) {
      this.#connection = connection;
      for (const operation of this.#pending) void this.#attempt(operation);
      this.#fill();
    }
    await connection.closed;
    this.#connection = null;
    history.add({ is: 'closed', connection: number });
    if (recorder.isReady) this.#since = recorder.since();
  }

  /** @returns whether it is live; a connection that is lost meanwhile is nobody's fault */
  async #greet(connection: Connection, fault: (text: string) => void): Promise<boolean> {
    try {
      await connection.opened();
      const since = this.#since === undefined ? {} : { since: this.#since };
      const answer = await connection.request({ t: 'hello', token: this.account.access, want: [], ...since });
      if (answer.t === 'ready') return true;
      if (!(answer.t === 'error' && answer.retry)) fault(`hello got ${JSON.stringify(answer)}`);
    } catch (error) {
      if (connection.isOpen) fault((error as Error).message);
    }
    connection.ws.terminate();
    return false;
  }

  // ---- writes ----------------------------------------------------------------------------------------------------

  #fill(): void {
    while (!this.#isPaused && this.#connection !== null && this.#pending.size < WINDOW) this.#act();
  }

  #act(): void {
    const { random } = this.#world;
    const act = random.whole(100);
    if (act < 3) this.#repeat();
    else if (act < 8) void this.#read();
    const own = this.#own.length > 0 && act < 28 ? random.pick(this.#own) : undefined;
    if (own === undefined) return this.#begin(this.#invent());
    const name = this.#named(own.conv);
    if (act >= 14) return this.#begin({ ...name, t: 'edit', of: own.seq, text: this.#text() });
    this.#begin({ ...name, t: 'delete', of: own.seq });
  }

  #invent(): Operation {
    const { random, groups, room } = this.#world;
    const isIn = this.cursors()[room] !== undefined;
    const conv = random.pick([...groups, room]);
    if (conv === room && !isIn) return { ...this.#named(room), t: 'join' };
    if (conv === room && random.chance(0.08)) return { ...this.#named(room), t: 'leave' };
    return { ...this.#named(conv), t: 'message', text: this.#text() };
  }

  #named(conv: string) {
    return { user: this.account.id, conv, key: randomUUIDv7() };
  }

  #text(): string {
    const { random } = this.#world;
    const length = random.chance(0.05) ? random.whole(LONG_TEXT) : 0;
    return `${this.account.name} ${++this.#count} ${'ü"\\ '.repeat(length / 4)}`;
  }

  #begin(operation: Operation): void {
    this.#pending.add(operation);
    void this.#attempt(operation);
  }

  async #attempt(operation: Operation): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    const answer = await this.#ask(connection, operation, frameOf(operation));
    if (answer === null) return;
    if (answer.t === 'error' && answer.retry) {
      // The answer of a connection that was lost since: its operations have been repeated already.
      const again = () => connection === this.#connection && this.#pending.has(operation) && void this.#attempt(operation);
      return void setTimeout(again, Math.min(answer.after ?? BACK_OFF_MS, BACK_OFF_MS));
    }
    this.#pending.delete(operation);
    if (answer.t === 'ok' && answer.seq !== undefined) this.#remember(operation, answer.seq);
    this.#fill();
    if (this.#isPaused && this.#pending.size === 0 && !this.#isReading) this.#onSettled?.();
  }

  /** One attempt and its answer, recorded; null where the connection was lost. */
  async #ask(connection: Connection, operation: Operation, frame: ReturnType<typeof frameOf>): Promise<Answer | null> {
    const { history, fault } = this.#world;
    const { user, conv, key } = operation;
    const name = { user, conv, key };
    const number = this.#recorder?.connection ?? 0;
    history.add({ is: 'invoke', operation, connection: number });
    try {
      const answer = await connection.request(frame);
      if (answer.t === 'ok') {
        const { seq, n, at: time, dup = false } = answer;
        history.add({ is: 'ok', name, dup, ...(seq === undefined ? {} : { seq, ...(time && { time }), ...(n && { n }) }) });
      } else if (answer.t !== 'error') fault(`${operation.t} got ${JSON.stringify(answer)}`);
      else history.add({ is: answer.retry ? 'info' : 'fail', name, code: answer.code });
      return answer;
    } catch (error) {
      if (!(error instanceof Unanswered)) fault((error as Error).message);
      history.add({ is: 'info', name, code: 'lost' });
      return null;
    }
  }

  #remember(operation: Operation, seq: number): void {
    this.#written.push(operation);
    if (operation.t !== 'message') return;
    this.#own.push({ conv: operation.conv, seq });
    if (this.#own.length > REMEMBERED) this.#own.shift();
  }

  /** What was acknowledged once, perhaps long ago, is sent again with other content: the answer is the first one. */
  #repeat(): void {
    const connection = this.#connection;
    if (connection === null || this.#written.length === 0) return;
    const operation = this.#world.random.pick(this.#written);
    const frame = frameOf(operation);
    void this.#ask(connection, operation, 'text' in frame ? { ...frame, text: this.#text() } : frame);
  }

  // ---- reads -----------------------------------------------------------------------------------------------------

  async #read(): Promise<void> {
    const { random, groups, room } = this.#world;
    const connection = this.#connection;
    const conv = random.pick([...groups, room]);
    const cursor = this.cursors()[conv];
    if (this.#isReading || connection === null || cursor === undefined || this.#recorder?.isBehind(conv)) return;
    this.#isReading = true;
    try {
      const after = Math.max(0, cursor - random.whole(100));
      if (random.chance(0.5)) await this.#sync(connection, conv, after);
      else await this.#history(connection, conv, random.chance(0.5) ? {} : { after });
    } finally {
      this.#isReading = false;
    }
    if (this.#isPaused && this.#pending.size === 0) this.#onSettled?.();
  }

  async #history(connection: Connection, conv: string, query: { readonly after?: number }): Promise<void> {
    const id = randomUUIDv7();
    this.#recorder?.onAsk(id);
    const answer = await connection.request({ t: 'history', id, conv, ...query }).catch(() => null);
    if (answer?.t === 'history') this.#recorder?.onHistory(query, answer);
  }

  /** @returns up to where, and whether there is more; null where it was not answered */
  async #sync(connection: Connection, conv: string, after: number) {
    const id = randomUUIDv7();
    this.#recorder?.onAsk(id);
    const answer = await connection.request({ t: 'sync', id, conv, after }).catch(() => null);
    return answer?.t === 'sync' ? answer : null;
  }

  /** Pulls until pushes go on; a pull that is refused for now is asked again. */
  async #onBehind(conv: string): Promise<void> {
    const connection = this.#connection;
    while (connection !== null && this.#recorder?.isBehind(conv) && connection === this.#connection) {
      const answer = await this.#sync(connection, conv, this.cursors()[conv] ?? 0);
      if (answer === null) await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS));
    }
  }
}

function frameOf(operation: Operation) {
  const { key, conv, t, of, text } = operation;
  return {
    t,
    id: key,
    conv,
    ...(of === undefined ? {} : { seq: of }),
    ...(text === undefined ? {} : { text }),
    ...(t === 'delete' ? { for: 'all' } : {}),
  };
}
