// A server that speaks docs/protocol.md to the letter, and does all that the letter allows: it is slow, forgets whom it has
// answered, says `behind` when it likes, restarts, and loses the end of its log.
import type { Frame } from '../../../src/client/connection.ts';
import type { ConversationView, Standing } from '../../../src/client/types.ts';
import type { Line, Listener, Peer } from './network.ts';
import { type Change, type Draft, isMember, type Receipt, Refused, Truth } from './truth.ts';
import type { World } from './world.ts';

export const PARTS = 2;

export interface ServerOptions {
  /** Entries of `ready` and of a page of HTTP. */
  readonly listed: number;
  /** Items of a page of `sync` and `history`, at most. */
  readonly page: number;
  /** Requests a second that are taken; 0 = all. */
  readonly rate: number;
}

export class SimServer implements Listener {
  readonly world: World;
  readonly options: ServerOptions;
  readonly truths = new Map<string, Truth>();
  readonly connections = new Set<ServerConnection>();
  readonly epochs: number[] = new Array(PARTS).fill(1);
  /** Tokens that are good no more. */
  readonly endedTokens = new Set<string>();
  isUp = true;
  isCalm = false;
  /** Counts restarts: what was under way before one is lost. */
  life = 0;
  /** Keys whose change was lost with the log. */
  readonly lostKeys = new Set<string>();
  /** How often a write came. */
  readonly came = new Map<string, number>();

  constructor(world: World, options: ServerOptions) {
    this.world = world;
    this.options = options;
  }

  get epoch(): string {
    return this.epochs.join('.');
  }

  sameEpoch(truth: Truth, epoch: string): boolean {
    return epoch.split('.')[truth.part] === `${this.epochs[truth.part]}`;
  }

  accept(line: Line): Peer {
    const connection = new ServerConnection(this, line);
    this.connections.add(connection);
    line.send({ t: 'welcome', v: 1, now: this.world.nowMs, heartbeat: 25_000, limits: {} });
    return connection;
  }

  // ---- what happens to it ----------------------------------------------------------------------------------------

  /** All connections end, with what was under way; some are told. */
  stop(downMs: number, saysBye: boolean): void {
    this.isUp = false;
    this.life++;
    for (const connection of [...this.connections]) {
      if (saysBye) connection.line.send({ t: 'bye', after: 500 + this.world.random.whole(1_500), code: 4000 });
      connection.line.close(saysBye ? 4000 : 1006);
    }
    this.world.after(downMs, () => {
      this.isUp = true;
    });
  }

  /** The last changes of a conversation are gone, as after a restore. */
  lose(truth: Truth, atMost: number): void {
    const isGuardMove = ({ t }: Change) => t === 'conv' || t === 'member';
    // Who has conversations that no list names would not hear of a membership that is back.
    const plain = truth.log.length - 1 - truth.log.findLastIndex(isGuardMove);
    const count = this.options.listed < 100 ? Math.min(atMost, plain) : atMost;
    if (count === 0) return;
    const lost = truth.log.slice(-count);
    for (const { key } of lost) if (key !== undefined) this.lostKeys.add(key);
    truth.loseAfter(truth.head - count);
    this.epochs[truth.part] = (this.epochs[truth.part] as number) + 1;
    const movedGuard = lost.some(isGuardMove);
    if (movedGuard || this.world.random.chance(0.5)) return this.stop(this.world.random.whole(3_000), false);
    for (const connection of this.connections) {
      for (const other of this.truths.values()) {
        if (other.part === truth.part && connection.isLive && isMember(other.standing(connection.user)))
          connection.sendReset(other);
      }
    }
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  create(conv: string, kind: Truth['kind'], creator: string, others: readonly string[], fields: object): void {
    const truth = new Truth(conv, kind, this.truths.size % PARTS);
    this.truths.set(conv, truth);
    const members = [creator, ...others].map((user, index) => ({
      user,
      role: index === 0 && kind !== 'direct' ? 'owner' : 'member',
    }));
    this.append(truth, creator, { t: 'conv', kind, ...fields, members });
  }

  append(truth: Truth, from: string, draft: Draft, key?: string): Change {
    const before = new Map([...truth.members].map(([user, { role }]) => [user, role]));
    const change = truth.append(from, this.world.nowMs, draft, key);
    for (const connection of this.connections) {
      if (connection.isLive) connection.push(truth, change, before.get(connection.user));
    }
    return change;
  }

  /** What a durable request does. @throws Refused */
  write(user: string, frame: Frame): Receipt & { readonly dup?: true } {
    const { t, id, conv } = frame as unknown as { t: string; id: string; conv: string };
    const truth = this.truths.get(conv);
    if (truth === undefined) throw new Refused('not_found');
    const first = truth.keys.get(`${user} ${id}`);
    if (first !== undefined) return { ...first, dup: true };
    const draft = this.#decide(truth, user, t, frame);
    if (draft === null) return {};
    const { seq, at, n } = this.append(truth, user, draft, id) as Change & { n?: number };
    return { seq, at, ...(n === undefined ? {} : { n }) };
  }

  #decide(truth: Truth, user: string, t: string, frame: Frame): Draft | null {
    const standing = truth.standing(user);
    if (t === 'join') {
      if (isMember(standing)) return null;
      if (standing !== 'invited' && truth.fields.public !== true) throw new Refused('not_found');
      return { t: 'member', user, what: 'join', role: 'member' };
    }
    if (!isMember(standing)) throw new Refused(truth.fields.public ? 'forbidden' : 'not_found');
    if (t === 'leave') {
      if (truth.kind === 'direct') throw new Refused('forbidden');
      if (standing === 'owner') throw new Refused('conflict');
      return { t: 'member', user, what: 'leave' };
    }
    if (t === 'message') {
      const { text, reply } = frame as unknown as { text: string; reply?: number };
      return { t, text, ...(reply === undefined ? {} : { reply }) };
    }
    const { seq: of, text } = frame as unknown as { seq: number; text: string };
    const message = truth.messages.get(of);
    if (message === undefined) throw new Refused('not_found');
    if (message.from !== user) throw new Refused('forbidden');
    if (message.deleted) {
      if (t === 'delete') return null;
      throw new Refused('gone');
    }
    if (t === 'edit') return message.text === text ? null : { t, of, text };
    return { t: 'delete', of };
  }

  // ---- HTTP ------------------------------------------------------------------------------------------------------

  view(truth: Truth, user: string, withLast = false): ConversationView {
    const { title, public: isPublic } = truth.fields;
    const last = withLast && isMember(truth.standing(user)) ? truth.ordered().at(-1) : undefined;
    const peer = truth.peerOf(user);
    return {
      conv: truth.conv,
      kind: truth.kind,
      ...(title === undefined ? {} : { title }),
      ...(withLast && isPublic !== undefined ? { public: isPublic } : {}),
      seq: truth.head,
      n: truth.n,
      read: Math.min(truth.marks.get(user) ?? 0, truth.n),
      role: truth.standing(user),
      ...(peer === undefined ? {} : { peer }),
      ...(last === undefined ? {} : { last: last as never }),
    };
  }

  /** A user's conversations, latest active first; places are ascending. */
  activeOf(user: string): { readonly place: string; readonly view: ConversationView }[] {
    const placeOf = ({ conv, log }: Truth) => `${(1e14 - (log.at(-1)?.at ?? 0)).toFixed(6).padStart(24, '0')} ${conv}`;
    return [...this.truths.values()]
      .filter((truth) => truth.standing(user) !== 'none')
      .map((truth) => ({ place: placeOf(truth), view: this.view(truth, user, true) }))
      .sort((one, other) => (one.place < other.place ? -1 : 1));
  }
}

export class ServerConnection implements Peer {
  readonly line: Line;
  readonly #server: SimServer;
  readonly #life: number;
  user = '';
  isLive = false;
  /** Nothing of these is pushed: until a pull has ended, or what is replayed has been sent. */
  readonly #heldOff = new Map<string, 'behind' | 'replaying'>();
  /** Writes take effect in the order they came. */
  #writesAtMs = 0;
  #reads = 0;
  #tokens: number;
  #tokensAtMs: number;

  constructor(server: SimServer, line: Line) {
    this.#server = server;
    this.line = line;
    this.#life = server.life;
    this.#tokens = server.options.rate * 2;
    this.#tokensAtMs = server.world.nowMs;
  }

  onClosed(): void {
    this.isLive = false;
    this.#server.connections.delete(this);
  }

  // ---- pushes ----------------------------------------------------------------------------------------------------

  push(truth: Truth, change: Change, before: Standing | undefined): void {
    const after = truth.standing(this.user);
    const concernsMe = change.t === 'member' && change.user === this.user;
    if (!isMember(before) && !isMember(after) && !concernsMe) return;
    const { conv } = truth;
    if (!this.#heldOff.has(conv)) {
      if (isMember(before) && isMember(after) && this.#chance(0.02)) this.fallBehind(truth);
      else this.line.send(change);
    }
    if (after !== 'none' || before === 'none' || before === undefined) return;
    this.#heldOff.delete(conv);
    this.line.send({ t: 'gone', conv });
  }

  fallBehind(truth: Truth): void {
    this.#heldOff.set(truth.conv, 'behind');
    this.line.send({ t: 'behind', conv: truth.conv, seq: truth.head });
  }

  sendReset(truth: Truth): void {
    this.#heldOff.set(truth.conv, 'behind');
    this.line.send({ t: 'reset', conv: truth.conv, seq: truth.head, epoch: this.#server.epoch });
  }

  #chance(share: number): boolean {
    return !this.#server.isCalm && this.#server.world.random.chance(share);
  }

  // ---- requests --------------------------------------------------------------------------------------------------

  onFrame(frame: Frame): void {
    const { t, id } = frame as unknown as { t: string; id: string };
    if (t === 'hello') return this.#later(() => this.#hello(frame));
    if (!this.isLive) return this.line.close(4501);
    if (id === undefined) return;
    if (t === 'ping') return this.line.send({ t: 'pong', id, now: this.#server.world.nowMs });
    if (t === 'renew') return this.line.send({ t: 'ok', id });
    if (!this.#takeToken()) return this.#refuse(id, 'rate_limited', 1_000 / this.#server.options.rate);
    if (t === 'sync' || t === 'history') return this.#read(frame);
    if (t === 'read') return this.#later(() => this.#mark(frame));
    const { world } = this.#server;
    this.#writesAtMs = Math.max(this.#writesAtMs, world.nowMs + this.#delayMs());
    this.#later(() => this.#write(frame), this.#writesAtMs - world.nowMs);
  }

  #takeToken(): boolean {
    const { options, world } = this.#server;
    if (options.rate === 0 || this.#server.isCalm) return true;
    this.#tokens = Math.min(options.rate * 2, this.#tokens + ((world.nowMs - this.#tokensAtMs) * options.rate) / 1_000);
    this.#tokensAtMs = world.nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #refuse(id: string, code: string, after?: number): void {
    const retry = ['rate_limited', 'unavailable', 'overloaded', 'internal'].includes(code);
    this.line.send({ t: 'error', id, code, message: code, retry, ...(after === undefined ? {} : { after }) });
  }

  /** Unless the server has been restarted meanwhile; whether the connection still is does not matter. */
  #later(run: () => void, ms = this.#delayMs()): void {
    this.#server.world.after(ms, () => {
      if (this.#life === this.#server.life) run();
    });
  }

  #delayMs(): number {
    const { random } = this.#server.world;
    return random.chance(0.5) ? 0 : random.whole(this.#chance(0.05) ? 5_000 : 50);
  }

  #hello(frame: Frame): void {
    const { token, id, since } = frame as unknown as {
      token: string;
      id: string;
      since?: { epoch: string; convs: Record<string, number> };
    };
    if (this.#server.endedTokens.has(token)) {
      this.#refuse(id, 'invalid_token');
      return this.line.close(4500);
    }
    if (this.#chance(0.05)) return this.#refuse(id, 'unavailable', 300);
    this.user = token.split(' ')[0] as string;
    this.isLive = this.#server.connections.has(this);
    const views = this.#server.activeOf(this.user);
    const convs = views.slice(0, this.#server.options.listed).map(({ view: { last: _, ...view } }) => view);
    this.line.send({
      t: 'ready',
      id,
      user: { id: this.user, name: this.user },
      session: 's',
      epoch: this.#server.epoch,
      convs,
      more: convs.length < views.length,
    });
    for (const [conv, cursor] of Object.entries(since?.convs ?? {})) this.#resume(conv, cursor, since?.epoch ?? '');
  }

  #resume(conv: string, cursor: number, epoch: string): void {
    const truth = this.#server.truths.get(conv);
    if (truth === undefined || !isMember(truth.standing(this.user))) return this.line.send({ t: 'gone', conv });
    if (!this.#server.sameEpoch(truth, epoch) || cursor > truth.head) return this.sendReset(truth);
    if (truth.head - cursor > 500 || this.#chance(0.2)) return this.fallBehind(truth);
    if (this.#chance(0.5)) return this.#replay(truth, cursor);
    this.#heldOff.set(conv, 'replaying');
    this.#later(() => {
      if (this.#heldOff.get(conv) !== 'replaying' || !isMember(truth.standing(this.user))) return;
      this.#heldOff.delete(conv);
      this.#replay(truth, cursor);
    });
  }

  #replay(truth: Truth, cursor: number): void {
    for (const change of truth.after(cursor)) this.line.send(change);
    this.line.send({ t: 'caught_up', conv: truth.conv, seq: truth.head });
  }

  #read(frame: Frame): void {
    const { id, conv } = frame as unknown as { id: string; conv: string };
    if (this.#reads >= 4) return this.#refuse(id, 'rate_limited', 100);
    this.#reads++;
    this.#later(() => {
      this.#reads--;
      const truth = this.#server.truths.get(conv);
      if (truth === undefined) this.#refuse(id, 'not_found');
      else if (!isMember(truth.standing(this.user))) this.#refuse(id, truth.fields.public ? 'forbidden' : 'not_found');
      else if (this.#chance(0.05)) this.#refuse(id, 'unavailable', 200);
      else if (frame.t === 'sync') this.#sync(truth, frame);
      else this.#history(truth, frame);
    });
  }

  #limit(asked: unknown, usual: number): number {
    const { options, world } = this.#server;
    return Math.min((asked as number | undefined) ?? usual, 1 + world.random.whole(options.page));
  }

  #sync(truth: Truth, frame: Frame): void {
    const { id, after, limit } = frame as unknown as { id: string; after: number; limit?: number };
    const isAbove = after > truth.head;
    if (isAbove) this.sendReset(truth);
    const from = isAbove ? 0 : after;
    const { items, to } = truth.sync(from, this.#limit(limit, 200));
    const more = to < truth.head;
    const { conv, head } = truth;
    this.line.send({ t: 'sync', id, conv, epoch: this.#server.epoch, from, to, head, more, items });
    if (!more) this.#heldOff.delete(conv);
  }

  /** The answer may be older than what has been pushed by the time it is sent. */
  #history(truth: Truth, frame: Frame): void {
    const { id, t: _t, limit, ...query } = frame as unknown as { id: string; t: string; limit?: number };
    const answer = truth.history(query, this.#limit(limit, 50));
    const { conv } = truth;
    this.#later(() => {
      if (isMember(truth.standing(this.user))) this.line.send({ t: 'history', id, conv, ...answer });
      else this.#refuse(id, 'not_found');
    });
  }

  #mark(frame: Frame): void {
    const { id, conv, n, unread } = frame as unknown as { id: string; conv: string; n: number; unread?: boolean };
    const truth = this.#server.truths.get(conv);
    if (truth === undefined || !isMember(truth.standing(this.user))) return this.#refuse(id, 'not_found');
    const before = truth.marks.get(this.user) ?? 0;
    const read = Math.min(unread ? n : Math.max(before, n), truth.n);
    truth.marks.set(this.user, read);
    this.line.send({ t: 'ok', id, conv });
    for (const other of this.#server.connections) {
      if (other === this || !other.isLive || this.#chance(0.2)) continue;
      if (other.user === this.user) other.line.send({ t: 'unread', conv, read, n: truth.n });
      else if (isMember(truth.standing(other.user)))
        other.line.send({ t: 'receipt', conv, user: this.user, read, received: read });
    }
  }

  #write(frame: Frame): void {
    const { id, conv } = frame as unknown as { id: string; conv: string };
    const { random } = this.#server.world;
    this.#server.came.set(id, (this.#server.came.get(id) ?? 0) + 1);
    if (this.#chance(0.05)) return this.#refuse(id, random.pick(['unavailable', 'overloaded']), 200);
    try {
      const receipt = this.#server.write(this.user, frame);
      if (this.#chance(0.03)) return this.#refuse(id, 'unavailable', 200);
      this.#later(() => this.line.send({ t: 'ok', id, conv, ...receipt }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#refuse(id, error.code);
    }
  }
}
