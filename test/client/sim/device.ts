// A device of a user: runs the client, can crash and start again with the outbox it had, does what people do, and watches
// that what it is told keeps its promises while it is told.
import { type Api, follow, loadMembers } from '../../../src/client/http.ts';
import { connect } from '../../../src/client/index.ts';
import type {
  Chat,
  Conversation,
  ConversationView,
  Cursors,
  Entry,
  Outbox,
  Sending,
  Standing,
} from '../../../src/client/types.ts';
import type { Network, Tamper } from './network.ts';
import type { SimServer } from './server.ts';
import { isMember } from './truth.ts';
import type { World } from './world.ts';

export interface Tampering extends Tamper {
  /** Over what a device keeps. */
  readonly outbox?: (outbox: Outbox) => Outbox;
}

export interface Scene {
  readonly world: World;
  readonly server: SimServer;
  readonly network: Network;
  readonly tampering: () => Tampering;
  fault(text: string): void;
}

/** Texts tell who sent what, in which order. */
export interface Made {
  readonly text: string;
  readonly conv: string;
  readonly id: string;
  /** It was given up, or its device crashed before it was kept. */
  mayBeMissing: boolean;
  refused: string | undefined;
  /** Tried again later, or given up on its way. */
  isOutOfOrder: boolean;
}

/** Of one conversation, as one chat tells it. */
interface Told {
  /** Of the last message told, or of the head when it was entered. */
  n: number;
  seq: number;
}

export class Device {
  readonly user: string;
  readonly name: string;
  readonly made: Made[] = [];
  chat!: Chat;
  /** HTTP was asked and did not answer: it is asked again when the chat is online anew. */
  missesAnswers = false;
  readonly #scene: Scene;
  #life = 0;
  #count = 0;
  #token = 0;
  /** Kept over crashes. */
  #kept: Entry[] = [];
  #cursors: Cursors | undefined;
  #told = new Map<Conversation, Told>();

  constructor(scene: Scene, user: string, name: string) {
    this.#scene = scene;
    this.user = user;
    this.name = name;
    this.start();
  }

  get owner(): string {
    return `${this.name} ${this.#life}`;
  }

  /** Begins anew, with what was kept. */
  start(): void {
    const { world, network } = this.#scene;
    const life = ++this.#life;
    const isAlive = () => this.#life === life;
    const tampering = this.#scene.tampering();
    const outbox = this.#outbox(isAlive);
    this.#told = new Map();
    this.chat = connect({
      url: 'sim',
      token: (isRefused) => this.#askToken(isRefused),
      clock: world.clock(this.owner, world.random.whole(100_000) - 50_000, isAlive),
      random: () => world.random.whole(2 ** 30) / 2 ** 30,
      WebSocket: network.sockets(this.owner, isAlive, tampering),
      outbox: tampering.outbox?.(outbox) ?? outbox,
      ...(this.#cursors === undefined ? {} : { since: this.#cursors }),
    });
    this.#watch(this.chat);
    follow(this.chat, this.api);
  }

  /** Everything in memory is gone; what was not kept yet was never made. */
  crash(): void {
    this.#cursors = this.#scene.world.random.chance(0.5) && this.chat.me ? this.chat.cursors() : undefined;
    this.#life++;
    const kept = new Set(this.#kept.map(({ id }) => id));
    for (const made of this.made) if (!kept.has(made.id)) made.mayBeMissing = true;
    this.start();
  }

  async #askToken(isRefused: boolean): Promise<string> {
    const { world } = this.#scene;
    await world.wait(world.random.whole(50));
    if (isRefused) this.#token++;
    else if (world.random.chance(0.05)) throw new Error('no network');
    return `${this.user} ${this.name} ${this.#token}`;
  }

  get token(): string {
    return `${this.user} ${this.name} ${this.#token}`;
  }

  #outbox(isAlive: () => boolean): Outbox {
    const { world } = this.#scene;
    let atMs = world.nowMs;
    /** In the order called. */
    const later = async (run: () => void) => {
      atMs = Math.max(atMs, world.nowMs + world.random.whole(30));
      await world.wait(atMs - world.nowMs);
      if (isAlive()) run();
    };
    return {
      load: async () => {
        const entries = [...this.#kept];
        await world.wait(world.random.whole(30));
        return entries;
      },
      put: (entry) => later(() => this.#kept.push(entry)),
      remove: (id) =>
        later(() => {
          this.#kept = this.#kept.filter((entry) => entry.id !== id);
        }),
    };
  }

  /** HTTP, which answers as slowly as it likes what was true when it was asked. */
  get api(): Api {
    const { server, world } = this.#scene;
    const answer = async <Body>(make: () => Body): Promise<Body> => {
      await world.wait(world.random.whole(50));
      if (!server.isUp || (!server.isCalm && world.random.chance(0.1))) {
        this.missesAnswers = true;
        throw new Error('no answer');
      }
      const body = make();
      world.trace(`${this.owner} is answered`, body as object);
      await world.wait(world.random.whole(200));
      return body;
    };
    /** A cursor is a place in the order of activity. */
    const pageOf = (cursor = '') => {
      const all = server.activeOf(this.user);
      const from = cursor === '' ? 0 : all.findIndex(({ place }) => place > cursor);
      const page = from === -1 ? [] : all.slice(from, from + server.options.listed);
      const isLast = page.length === 0 || page.at(-1)?.place === all.at(-1)?.place;
      return { items: page.map(({ view }) => view), ...(isLast ? {} : { cursor: page.at(-1)?.place ?? '' }) };
    };
    const api: Pick<Api, 'conversations' | 'conversation' | 'members'> = {
      conversations: ({ cursor } = {}) => answer(() => pageOf(cursor)),
      conversation: (conv) =>
        answer((): ConversationView => {
          const truth = server.truths.get(conv);
          if (truth === undefined || truth.standing(this.user) === 'none') throw new Error('not found');
          return server.view(truth, this.user);
        }),
      members: (conv) =>
        answer(() => {
          const members = [...(server.truths.get(conv)?.members ?? [])].map(([user, { role }]) => ({ user, role }));
          return { items: members.filter(({ role }) => role !== 'none') };
        }),
    };
    return api as Api;
  }

  // ---- what it does ----------------------------------------------------------------------------------------------

  act(): void {
    const { random } = this.#scene.world;
    const inside = [...this.chat.conversations.values()].filter(({ role }) => isMember(role));
    if (inside.length === 0) return void this.#join();
    const conversation = random.pick(inside);
    const own = conversation.messages.filter(({ from, deleted }) => from === this.user && !deleted);
    const acts: readonly (readonly [weight: number, act: () => void])[] = [
      [30, () => this.#send(conversation)],
      [6, () => own[0] !== undefined && conversation.edit(random.pick(own).seq, `edited ${this.#count++}`)],
      [4, () => own[0] !== undefined && conversation.remove(random.pick(own).seq)],
      [6, () => quietly(conversation.open(1 + random.whole(10)))],
      [4, () => conversation.isOpen && quietly(conversation.older(1 + random.whole(5)))],
      [3, () => conversation.isOpen && quietly(conversation.newer(1 + random.whole(5)))],
      [2, () => conversation.n > 0 && quietly(conversation.around(1 + random.whole(conversation.seq), 4))],
      [2, () => this.#trim(conversation)],
      [1, () => conversation.close()],
      [6, () => conversation.markRead()],
      [2, () => conversation.markRead(random.whole(5), { unread: true })],
      [2, () => conversation.setTyping()],
      [2, () => conversation.markReceived()],
      [3, () => quietly(loadMembers(this.chat, this.api, conversation))],
      [2, () => this.#join()],
      [1, () => conversation.kind !== 'direct' && conversation.leave()],
      [2, () => this.chat.wake()],
      [1, () => this.#discard()],
    ];
    let at = random.whole(acts.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, act] of acts) {
      at -= weight;
      if (at < 0) return act();
    }
  }

  #send(conversation: Conversation): void {
    const { random } = this.#scene.world;
    for (let many = random.chance(0.2) ? 5 : 1; many > 0; many--) {
      const text = `${this.name} ${this.#count++}`;
      const last = conversation.messages.at(-1);
      const sending = conversation.send(text, last !== undefined && random.chance(0.1) ? { reply: last.seq } : {});
      const { conv } = conversation;
      this.made.push({ text, conv, id: sending.id, mayBeMissing: false, refused: undefined, isOutOfOrder: false });
    }
  }

  #trim({ messages, trim: _, ...rest }: Conversation, conversation = this.chat.conversations.get(rest.conv)): void {
    const { random } = this.#scene.world;
    if (messages.length > 2) conversation?.trim(random.pick(messages).seq, messages.at(-1)?.seq ?? 0);
  }

  #join(): void {
    const { random } = this.#scene.world;
    const open = [...this.#scene.server.truths.values()].filter(
      ({ conv, fields }) => fields.public === true || this.chat.conversations.get(conv)?.role === 'invited',
    );
    if (open.length > 0) this.chat.join(random.pick(open).conv);
  }

  #discard(): void {
    const { random } = this.#scene.world;
    const { sendings } = this.chat;
    if (sendings.length === 0) return;
    const sending = random.pick(sendings);
    const made = this.made.find(({ id }) => id === sending.id);
    if (made !== undefined) made.isOutOfOrder = true;
    if (sending.state === 'refused' && random.chance(0.5)) return void sending.retry();
    if (made !== undefined) made.mayBeMissing = true;
    sending.discard();
  }

  // ---- what it is told -------------------------------------------------------------------------------------------

  #fault(text: string): void {
    this.#scene.fault(`${this.name}: ${text}`);
  }

  #watch(chat: Chat): void {
    const told = this.#told;
    const { owner } = this;
    chat.on('state', (event) => this.#scene.world.trace(owner, event));
    chat.on('conversation', ({ conversation }) => {
      // Who is added to what there was hears how many messages that are a little later.
      const isKnown = conversation.seq > 0 && conversation.kind !== undefined;
      if (!told.has(conversation)) told.set(conversation, { n: isKnown ? conversation.n : -1, seq: 0 });
      this.#checkHeld(conversation);
    });
    // Who was invited before was told nothing until now.
    chat.on('member', ({ conversation, user }) => {
      if (user === this.user) told.set(conversation, { n: -1, seq: 0 });
    });
    chat.on('reset', ({ conversation }) => told.set(conversation, { n: -1, seq: 0 }));
    chat.on('message', ({ conversation, message: { seq, n } }) => {
      const before = told.get(conversation);
      if (before !== undefined && before.seq > 0 && seq <= before.seq)
        this.#fault(`${conversation.conv} message ${seq} after ${before.seq}`);
      if (before !== undefined && before.n >= 0 && n > before.n + 1)
        this.#fault(`${conversation.conv} message n ${n} after ${before.n}`);
      told.set(conversation, { n, seq });
      this.#checkHeld(conversation);
    });
    chat.on('sending', ({ sending }) => this.#onSending(sending));
  }

  #onSending(sending: Sending): void {
    const made = this.made.find(({ id }) => id === sending.id);
    if (made !== undefined) made.refused = sending.error?.code;
  }

  /** What is held has no gap at any time. */
  #checkHeld({ conv, messages }: Conversation): void {
    for (let index = 1; index < messages.length; index++) {
      const [one, next] = [messages[index - 1], messages[index]];
      if (one !== undefined && next !== undefined && next.n !== one.n + 1)
        this.#fault(`${conv} holds n ${next.n} after ${one.n}`);
    }
  }

  /** A last look: it is the truth, and nothing waits. */
  check(): void {
    const { server, world } = this.#scene;
    const { chat } = this;
    if (chat.state !== 'online') this.#fault(`is ${chat.state} (${chat.reason})`);
    if (world.waiting(this.owner) > 0) this.#fault(`is idle and has ${world.waiting(this.owner)} timers`);
    for (const { id, state, request } of chat.sendings) {
      // What the log lost after it was acknowledged never comes.
      const isLost = state === 'sent' && server.lostKeys.has(id);
      if (state !== 'refused' && !isLost) this.#fault(`${request.t} ${id} is still ${state}`);
    }
    for (const truth of server.truths.values()) {
      const standing = truth.standing(this.user);
      const conversation = chat.conversations.get(truth.conv);
      if (conversation === undefined) {
        if (standing !== 'none') this.#fault(`does not know of ${truth.conv}`);
      } else if (standing === 'none') this.#fault(`still has ${truth.conv}`);
      else this.#checkConversation(conversation, standing);
    }
  }

  #checkConversation(conversation: Conversation, standing: Standing): void {
    const truth = this.#scene.server.truths.get(conversation.conv);
    if (truth === undefined) return;
    const { conv } = conversation;
    const { title, public: isPublic } = truth.fields;
    this.#same(conv, 'role', conversation.role, standing);
    if (!isMember(standing)) return;
    this.#same(conv, 'kind', conversation.kind, truth.kind);
    this.#same(conv, 'title', conversation.title, title);
    if (conversation.public !== undefined) this.#same(conv, 'public', conversation.public, isPublic);
    this.#same(conv, 'peer', conversation.peer, truth.peerOf(this.user));
    this.#same(conv, 'seq', conversation.seq, truth.head);
    this.#same(conv, 'n', conversation.n, truth.n);
    this.#same(conv, 'cursor', this.chat.cursors().convs[conv], truth.head);
    const all = truth.ordered();
    if (conversation.last !== undefined) this.#same(conv, 'last', conversation.last, all.at(-1));
    const told = this.#told.get(conversation);
    if (told !== undefined && told.n >= 0) this.#same(conv, 'last told n', told.n, truth.n);
    if (conversation.members !== undefined) {
      const members = [...truth.members]
        .filter(([, { role }]) => role !== 'none')
        .map(([user, { role }]) => [user, role]);
      this.#same(conv, 'members', [...conversation.members].sort(), members.sort());
    }
    const { messages, hasOlder, hasNewer, isOpen } = conversation;
    if (!isOpen) return this.#same(conv, 'closed', messages.length, 0);
    const from = hasOlder ? all.findIndex(({ seq }) => seq === messages[0]?.seq) : 0;
    const to = hasNewer ? all.findIndex(({ seq }) => seq === messages.at(-1)?.seq) + 1 : all.length;
    this.#same(conv, 'messages', messages, all.slice(from, to));
  }

  /** Marks are told by `ready` for those it lists; in between they are signals, which may be lost. */
  checkRead(): void {
    if (this.#scene.server.options.listed < 100) return;
    for (const { conv, read, role } of this.chat.conversations.values()) {
      const truth = this.#scene.server.truths.get(conv);
      if (truth !== undefined && isMember(role))
        this.#same(conv, 'read', read, Math.min(truth.marks.get(this.user) ?? 0, truth.n));
    }
  }

  #same(conv: string, what: string, found: unknown, wanted: unknown): void {
    const [one, other] = [canonical(found), canonical(wanted)];
    if (one !== other) this.#fault(`${conv} ${what} is ${one}, not ${other}`);
  }
}

/** Equal whatever the order of fields; without undefined ones. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? 'undefined'
  );
}

/** Refused, or let go: the app would tell its user. */
function quietly(asked: Promise<void>): void {
  asked.catch(() => {});
}
