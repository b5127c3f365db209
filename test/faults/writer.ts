// Somebody who writes without pause whatever becomes of the server: sends, edits, deletes, joins, leaves and reads, many at
// once, and now and then just hangs up; after a lost connection it comes back with its cursors and repeats, with the same
// ids, what got no answer.
import { randomUUIDv7 } from 'node:crypto';
import type { SyncAnswer } from '../../src/protocol/answers.ts';
import type { MessageState } from '../../src/protocol/states.ts';
import type { Account } from '../kit/client.ts';
import { Connection, type Outgoing, Unanswered } from '../kit/connection.ts';
import type { Answer, Ok } from '../kit/frames.ts';
import type { Since } from '../kit/observer.ts';
import type { FinalRead, HistoryQuery, Operation } from './evidence.ts';
import { Recorder } from './recorder.ts';
import type { World } from './world.ts';

/** Own messages that may still be edited or deleted. */
const REMEMBERED = 50;
/** Between two attempts where nothing else was said. */
const BACK_OFF_MS = 20;
/** Changes: more than are replayed. */
const MOST_AWAY = 700;
/** Now and then a text is long: pages of the databases overflow. */
const LONG_TEXT = 3_500;
/** One code point, four bytes. */
const WIDEST = '\u{1f4a7}';

interface Own {
  readonly conv: string;
  readonly seq: number;
}

interface Session {
  readonly number: number;
  readonly connection: Connection;
  readonly recorder: Recorder;
}

export class Writer {
  readonly account: Account;
  readonly #world: World;
  /** While it is live. */
  #session: Session | null = null;
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
    return this.#session?.recorder.cursors() ?? this.#since?.convs ?? {};
  }

  /** Whether it is told everything that happens. */
  get isLive(): boolean {
    const { groups, room } = this.#world;
    return this.#session !== null && ![...groups, room].some((conv) => this.#session?.recorder.isBehind(conv));
  }

  /** Begins nothing new; resolves when everything has its answer. */
  async settle(): Promise<void> {
    this.#isPaused = true;
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve;
      this.#checkSettled();
    });
  }

  /** Resolves when it is away; it comes back at once where it finds the door open. */
  async hangUp(): Promise<void> {
    const connection = this.#session?.connection;
    connection?.ws.terminate();
    await connection?.closed;
  }

  /** Reads nothing more on the connection it has, as long as that lasts. @returns how to listen again */
  turnAway(): () => void {
    const socket = this.#session?.connection.socket;
    socket?.pause();
    return () => void socket?.resume();
  }

  goOn(): void {
    this.#isPaused = false;
    this.#fill();
  }

  /** Leaves for good. To be called when the door is locked. */
  async end(): Promise<void> {
    this.#session?.connection.ws.terminate();
    await this.#over;
  }

  /** Joins the room if it is not in it. To be called while paused. */
  async come(): Promise<void> {
    const { room } = this.#world;
    if (this.cursors()[room] === undefined) this.#begin({ ...this.#named(room), t: 'join' });
    await this.settle();
  }

  /** The newest page of a conversation. To be called while paused. */
  async readNewest(conv: string): Promise<void> {
    await this.#session?.connection.ask('history', { t: 'history', conv });
  }

  /** Everything there is of a conversation. To be called while paused. */
  async readAll(conv: string): Promise<FinalRead> {
    const connection = this.#session?.connection;
    if (connection === undefined) throw new Error('not connected');
    const messages: MessageState[] = [];
    for (let more = true; more; ) {
      const page = await connection.ask('history', {
        t: 'history',
        conv,
        after: messages.at(-1)?.seq ?? 0,
        limit: 200,
      });
      messages.push(...page.items);
      more = page.more === true;
    }
    const pages: SyncAnswer[] = [];
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
    const onBehind = (conv: string) => void this.#pull(session, conv);
    const recorder = new Recorder({ history, ledger, connection: number, fault, onBehind });
    const session: Session = { number, recorder, connection: new Connection(url, recorder, fault) };
    if (await this.#greet(session.connection, fault)) {
      this.#session = session;
      for (const operation of this.#pending) void this.#attempt(operation);
      this.#fill();
    }
    await session.connection.closed;
    this.#session = null;
    history.add({ is: 'closed', connection: number });
    if (recorder.isReady) this.#since = recorder.since();
  }

  /** @returns whether it is live; a connection that is lost meanwhile is nobody's fault */
  async #greet(connection: Connection, fault: (text: string) => void): Promise<boolean> {
    try {
      await connection.opened();
      const since = this.#remembered();
      const answer = await connection.request({ t: 'hello', token: this.account.access, want: [], ...since });
      if (answer.t === 'ready') return true;
      if (!(answer.t === 'error' && answer.retry)) fault(`hello got ${JSON.stringify(answer)}`);
    } catch (error) {
      if (connection.isOpen) fault((error as Error).message);
    }
    connection.ws.terminate();
    return false;
  }

  /** Its cursors; now and then those of a device that was away for longer. */
  #remembered(): { readonly since?: Since } {
    const { random } = this.#world;
    if (this.#since === undefined) return {};
    if (random.chance(0.8)) return { since: this.#since };
    const earlier = (cursor: number) => Math.max(1, cursor - random.whole(MOST_AWAY));
    const convs = Object.entries(this.#since.convs).map(([conv, cursor]) => [conv, earlier(cursor)]);
    return { since: { epoch: this.#since.epoch, convs: Object.fromEntries(convs) } };
  }

  // ---- writes ----------------------------------------------------------------------------------------------------

  #fill(): void {
    while (!this.#isPaused && this.#session !== null && this.#pending.size < this.#world.window) this.#act();
  }

  #act(): void {
    const { random, isPlain } = this.#world;
    const act = isPlain ? 100 : random.whole(100);
    if (act < 3) this.#repeat();
    else if (act < 8) void this.#read();
    else if (act < 9) this.#session?.connection.ws.terminate();
    const own = this.#own.length > 0 && act < 28 ? random.pick(this.#own) : undefined;
    if (own === undefined) return this.#begin(this.#invent());
    const name = this.#named(own.conv);
    if (act >= 14) return this.#begin({ ...name, t: 'edit', of: own.seq, text: this.#text() });
    this.#begin({ ...name, t: 'delete', of: own.seq });
  }

  #invent(): Operation {
    const { random, groups, room, isPlain } = this.#world;
    const isIn = this.cursors()[room] !== undefined;
    const conv = random.pick(isPlain ? groups : [...groups, room]);
    if (conv === room && !isIn) return { ...this.#named(room), t: 'join' };
    if (conv === room && random.chance(0.08)) return { ...this.#named(room), t: 'leave' };
    return { ...this.#named(conv), t: 'message', text: this.#text() };
  }

  #named(conv: string) {
    return { user: this.account.id, conv, key: randomUUIDv7() };
  }

  #text(): string {
    const { random, hasLongTexts } = this.#world;
    const length = random.chance(0.05) ? random.whole(LONG_TEXT) : 0;
    const rest = hasLongTexts ? WIDEST.repeat(LONG_TEXT) : 'ü"\\ '.repeat(length / 4);
    return `${this.account.name} ${++this.#count} ${rest}`;
  }

  #begin(operation: Operation): void {
    this.#pending.add(operation);
    void this.#attempt(operation);
  }

  async #attempt(operation: Operation): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const answer = await this.#ask(session, operation, frameOf(operation));
    if (answer === null) return;
    if (answer.t === 'error' && answer.retry) {
      // Where the connection was lost since, the next one has repeated it already.
      const again = () => session === this.#session && void this.#attempt(operation);
      return void setTimeout(again, Math.min(answer.after ?? BACK_OFF_MS, BACK_OFF_MS));
    }
    this.#pending.delete(operation);
    if (answer.t === 'ok' && answer.seq !== undefined) this.#remember(operation, answer.seq);
    this.#fill();
    this.#checkSettled();
  }

  /** One attempt and its answer, recorded; null where the connection was lost. */
  async #ask(session: Session, operation: Operation, frame: Outgoing): Promise<Answer | null> {
    const { history, fault } = this.#world;
    const { user, conv, key, t } = operation;
    const name = { user, conv, key };
    history.add({ is: 'invoke', operation, connection: session.number });
    try {
      const answer = await session.connection.request(frame);
      if (answer.t === 'ok') history.add({ is: 'ok', name, ...numbersOf(answer) });
      else if (answer.t !== 'error') fault(`${t} got ${JSON.stringify(answer)}`);
      else history.add({ is: answer.retry ? 'info' : 'fail', name, code: answer.code });
      return answer;
    } catch (error) {
      if (!(error instanceof Unanswered)) fault((error as Error).message);
      history.add({ is: 'info', name, code: 'lost' });
      return null;
    }
  }

  #checkSettled(): void {
    if (this.#isPaused && this.#pending.size === 0 && !this.#isReading) this.#onSettled?.();
  }

  #remember(operation: Operation, seq: number): void {
    this.#written.push(operation);
    if (operation.t !== 'message') return;
    this.#own.push({ conv: operation.conv, seq });
    if (this.#own.length > REMEMBERED) this.#own.shift();
  }

  /** What was acknowledged once, perhaps long ago, is sent again with other content: the answer is the first one. */
  #repeat(): void {
    const session = this.#session;
    if (session === null || this.#written.length === 0) return;
    const operation = this.#world.random.pick(this.#written);
    const isSame = operation.text === undefined || this.#world.isLosing;
    const text = isSame ? {} : { text: this.#text() };
    void this.#ask(session, operation, { ...frameOf(operation), ...text });
  }

  // ---- reads -----------------------------------------------------------------------------------------------------

  async #read(): Promise<void> {
    const { random, groups, room } = this.#world;
    const session = this.#session;
    const conv = random.pick([...groups, room]);
    const cursor = this.cursors()[conv];
    if (this.#isReading || session === null || cursor === undefined || session.recorder.isBehind(conv)) return;
    this.#isReading = true;
    const after = Math.max(0, cursor - random.whole(100));
    if (random.chance(0.5)) await this.#sync(session, conv, after);
    else await this.#history(session, conv, random.chance(0.5) ? {} : { after });
    this.#isReading = false;
    this.#checkSettled();
  }

  async #history({ connection, recorder }: Session, conv: string, query: HistoryQuery): Promise<void> {
    const id = randomUUIDv7();
    recorder.onAsk(id);
    const answer = await connection.request({ t: 'history', id, conv, ...query }).catch(() => null);
    if (answer?.t === 'history') recorder.onHistory(query, answer);
  }

  /** @returns null where it was refused or not answered */
  async #sync({ connection, recorder }: Session, conv: string, after: number): Promise<SyncAnswer | null> {
    const id = randomUUIDv7();
    recorder.onAsk(id);
    const answer = await connection.request({ t: 'sync', id, conv, after }).catch(() => null);
    return answer?.t === 'sync' ? answer : null;
  }

  /** Until pushes go on; a page that is refused for now is asked for again. */
  async #pull(session: Session, conv: string): Promise<void> {
    const { connection, recorder } = session;
    let after = recorder.cursors()[conv] ?? 0;
    while (connection.isOpen && recorder.isBehind(conv)) {
      const page = await this.#sync(session, conv, after);
      if (page === null) await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS));
      after = page?.to ?? after;
    }
  }
}

function numbersOf({ seq, n, at: time, dup }: Ok) {
  const numbers = Object.entries({ seq, n, time }).filter(([, number]) => number !== undefined);
  return { dup: dup === true, ...(Object.fromEntries(numbers) as { seq?: number; n?: number; time?: number }) };
}

function frameOf(operation: Operation): Outgoing {
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
