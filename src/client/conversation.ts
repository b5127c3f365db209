// A conversation as the server has it: its fields, marks, members, newest message, and the messages held of it. Everything it
// shows is made of what the core tells; its own writes go through the core and come back as changes.
import type { HistoryAnswer } from '../protocol/answers.ts';
import type { ConvKind, MessageNumber, Seq, Standing } from '../protocol/ids.ts';
import type { MessageState } from '../protocol/states.ts';
import type { Core } from './core.ts';
import { fold, Held, newer } from './held.ts';
import type { BareEvent, ChatEvent, Clock, Conversation, ConversationView, Marks, Sending } from './types.ts';

/** What a conversation needs of its chat. */
export interface Host {
  readonly core: Core;
  readonly clock: Clock;
  emit(event: ChatEvent): void;
}

type Told = Exclude<BareEvent, { type: 'state' | 'sending' | 'presence' | 'gone' }>;
type ToldAs<Type extends Told['type']> = Extract<Told, { type: Type }>;
type Fields = Partial<Pick<Conversation, (typeof FIELDS)[number]>>;

const FIELDS = ['kind', 'title', 'topic', 'public', 'role', 'peer'] as const;
const TYPING_EVERY_MS = 3_000;
const RECEIVED_EVERY_MS = 1_000;

export class LiveConversation implements Conversation {
  readonly conv: string;
  kind: ConvKind | undefined;
  title: string | undefined;
  topic: string | undefined;
  public: boolean | undefined;
  role: Standing = 'member';
  peer: string | undefined;
  seq: Seq = 0;
  n: MessageNumber = 0;
  read: MessageNumber = 0;
  at = 0;
  last: MessageState | undefined;
  members: Map<string, Standing> | undefined;
  readonly typing = new Set<string>();
  readonly receipts = new Map<string, Marks>();
  readonly #host: Host;
  readonly #core: Core;
  readonly #held: Held;
  #mark: { readonly n: MessageNumber; readonly unread: boolean } | undefined;
  #typedAt = 0;
  #receivedN = 0;
  #isQuiet = false;
  #isCounted = false;
  #isNew = true;

  constructor(conv: string, host: Host) {
    this.conv = conv;
    this.#host = host;
    this.#core = host.core;
    this.#held = new Held(
      (range) => this.#ask('history', range),
      (items) => this.#onPage(items),
    );
  }

  get unread(): number {
    return Math.max(0, this.n - this.read);
  }

  get pending(): readonly Sending[] {
    return this.#core.sendings.filter(({ conv }) => conv === this.conv);
  }

  get messages(): readonly MessageState[] {
    return this.#held.messages;
  }

  get isOpen(): boolean {
    return this.#held.isOpen;
  }

  get hasOlder(): boolean {
    return this.#held.hasOlder;
  }

  get hasNewer(): boolean {
    return this.#held.hasNewer;
  }

  // ---- messages held ---------------------------------------------------------------------------------------------

  open(limit?: number): Promise<void> {
    return this.#held.replace({ limit });
  }

  around(seq: Seq, limit?: number): Promise<void> {
    return this.#held.replace({ around: seq, limit });
  }

  older(limit?: number): Promise<void> {
    return this.#held.older(limit);
  }

  newer(limit?: number): Promise<void> {
    return this.#held.newer(limit);
  }

  trim(from: Seq, to: Seq): void {
    this.#held.trim(from, to);
    this.#tell();
  }

  close(): void {
    this.#held.close();
    this.#tell();
  }

  // ---- writing ---------------------------------------------------------------------------------------------------

  send(text: string, options: { readonly reply?: Seq } = {}): Sending {
    this.#typedAt = 0;
    return this.#core.write({ t: 'message', conv: this.conv, text, ...options });
  }

  edit(seq: Seq, text: string): Sending {
    return this.#core.write({ t: 'edit', conv: this.conv, seq, text });
  }

  remove(seq: Seq): Sending {
    return this.#core.write({ t: 'delete', conv: this.conv, seq, for: 'all' });
  }

  leave(): Sending {
    return this.#core.write({ t: 'leave', conv: this.conv });
  }

  // ---- marks and signals -----------------------------------------------------------------------------------------

  markRead(upTo = this.n, { unread = false } = {}): void {
    const n = Math.min(upTo, this.n);
    if (unread ? n === this.read : n <= this.read) return;
    const isUnderWay = this.#mark !== undefined;
    this.#mark = { n, unread };
    this.#setRead(n);
    if (!isUnderWay) void this.#sendMarks();
  }

  /** One at a time; of those that come meanwhile the last one counts. */
  async #sendMarks(): Promise<void> {
    for (let mark = this.#mark; mark !== undefined; mark = this.#mark) {
      try {
        await this.#ask('read', mark);
      } catch {}
      if (this.#mark === mark) this.#mark = undefined;
    }
  }

  markReceived(): void {
    if (this.#isQuiet || this.#receivedN >= this.n) return;
    this.#receivedN = this.n;
    this.#isQuiet = true;
    this.#core.signal({ t: 'received', conv: this.conv, n: this.n });
    this.#host.clock.after(RECEIVED_EVERY_MS, () => {
      this.#isQuiet = false;
      this.markReceived();
    });
  }

  setTyping(on = true): void {
    const now = this.#host.clock.now();
    if (on ? now - this.#typedAt < TYPING_EVERY_MS : this.#typedAt === 0) return;
    this.#typedAt = on ? now : 0;
    this.#core.signal({ t: 'typing', conv: this.conv, on });
  }

  // ---- what is told ----------------------------------------------------------------------------------------------

  onEvent(event: Told): void {
    switch (event.type) {
      case 'view':
        return this.#onView(event);
      case 'message':
        return this.#onMessage(event.message);
      case 'changed':
        return this.#onChanged(event);
      case 'member':
        return this.#onMember(event);
      case 'conv':
        // What is known from its creation on has been counted along.
        this.#isCounted ||= 't' in event.fields && event.fields.kind !== undefined;
        if ('at' in event.fields) this.at = Math.max(this.at, event.fields.at);
        return this.#onFields(event.fields);
      case 'told':
        return this.#onTold(event.seq);
      case 'reset':
        return this.#onReset();
      case 'typing':
        return this.#onTyping(event);
      case 'receipt':
        return this.#onReceipt(event);
      case 'unread':
        // Moved by another device, unless it is moved here now.
        if (this.#mark === undefined) this.#setRead(event.read);
    }
  }

  onGone(): void {
    this.role = 'none';
    this.#held.close();
    this.#host.emit({ type: 'gone', conversation: this });
  }

  #onView({ view, isNow }: { readonly view: ConversationView; readonly isNow: boolean }): void {
    this.seq = Math.max(this.seq, view.seq);
    this.n = Math.max(this.n, view.n);
    this.#isCounted = true;
    if (isNow && this.#mark === undefined) this.read = view.read;
    if (view.last !== undefined) this.#onKnown(view.last);
    this.#onFields(view);
  }

  #onMessage(message: MessageState): void {
    const { from, n } = message;
    if (from === this.#core.me?.id) this.read = Math.max(this.read, n);
    this.typing.delete(from);
    this.#held.take(message);
    this.#onKnown(message);
    this.#host.emit({ type: 'message', conversation: this, message });
  }

  #onChanged({ seq, message, change }: ToldAs<'changed'>): void {
    if (change !== undefined) {
      this.at = Math.max(this.at, change.at);
      this.#held.fold(seq, change);
      if (this.last?.seq === seq) this.last = fold(this.last, change);
    }
    if (message !== undefined) {
      this.#held.take(message);
      this.#onKnown(message);
    }
    const known = message ?? (this.last?.seq === seq ? this.last : this.#held.find(seq));
    this.#host.emit({ type: 'changed', conversation: this, seq, message: known, change });
  }

  #onMember({ user, role, change }: ToldAs<'member'>): void {
    if (user === this.#core.me?.id) {
      // Who was invited was not told how many messages came since.
      if (!this.#isInside) this.#isCounted = false;
      this.role = role;
    } else if (this.kind === 'direct') this.peer = user;
    // A creation names them all.
    if (change?.t === 'conv') this.members ??= new Map();
    if (role === 'none') this.members?.delete(user);
    else this.members?.set(user, role);
    this.#host.emit({ type: 'member', conversation: this, user, role, change });
  }

  #onFields(fields: Fields): void {
    for (const name of FIELDS) if (fields[name] !== undefined) Object.assign(this, { [name]: fields[name] });
    this.#tell();
  }

  #onTold(seq: Seq): void {
    this.seq = seq;
    if (!this.#isCounted && this.#isInside) this.#count();
    if (this.#isNew) this.#tell();
    this.#isNew = false;
  }

  #onReset(): void {
    this.#held.clear();
    this.last = this.members = undefined;
    this.n = 0;
    this.receipts.clear();
    this.#host.emit({ type: 'reset', conversation: this });
    this.#count();
  }

  #onTyping({ user, on }: ToldAs<'typing'>): void {
    if (on) this.typing.add(user);
    else this.typing.delete(user);
    this.#host.emit({ type: 'typing', conversation: this, user, on });
  }

  #onReceipt({ user, read, received }: ToldAs<'receipt'>): void {
    this.receipts.set(user, { read, received });
    this.#host.emit({ type: 'receipt', conversation: this, user, read, received });
  }

  #onPage(messages: readonly MessageState[]): void {
    for (const message of messages) this.#onKnown(message);
    this.#tell();
  }

  /** A message there is, told already or still to be told. */
  #onKnown(message: MessageState): void {
    const { last } = this;
    this.n = Math.max(this.n, message.n);
    this.at = Math.max(this.at, message.at);
    if (last === undefined || message.seq > last.seq) this.last = message;
    else if (message.seq === last.seq) this.last = newer(message, last);
    this.#core.onArrived(message.key);
  }

  /** How many messages there are shows with the newest one, for who is added to what there was before. */
  #count(): void {
    this.#isCounted = true;
    const newest = this.isOpen ? this.open() : this.#ask<HistoryAnswer>('history', { limit: 1 });
    newest.then(
      (answer) => answer && this.#onPage(answer.items),
      () => {},
    );
  }

  get #isInside(): boolean {
    return this.role !== 'none' && this.role !== 'invited';
  }

  #ask<Answer>(t: string, fields: object): Promise<Answer> {
    return this.#core.ask({ t, conv: this.conv, ...fields });
  }

  #setRead(read: MessageNumber): void {
    this.read = read;
    this.#host.emit({ type: 'unread', conversation: this });
  }

  #tell(): void {
    this.#host.emit({ type: 'conversation', conversation: this });
  }
}
