// The chat as an application shows it: what the core tells, kept as conversations and people; told on when all of it fits.
import type { PresenceStatus } from '../protocol/answers.ts';
import { LiveConversation } from './conversation.ts';
import { type Core, createCore, systemClock } from './core.ts';
import { createEvents } from './events.ts';
import type {
  BareEvent,
  Chat,
  ChatEvent,
  ChatState,
  Clock,
  ConnectOptions,
  ConversationView,
  Cursors,
  Entry,
  EventOf,
  Presence,
  Sending,
  Write,
} from './types.ts';

export class LiveChat implements Chat {
  readonly clock: Clock;
  readonly core: Core;
  readonly conversations = new Map<string, LiveConversation>();
  readonly presence = new Map<string, Presence>();
  readonly #events = createEvents<ChatEvent>();
  #status: PresenceStatus = 'online';

  constructor(options: ConnectOptions) {
    this.clock = options.clock ?? systemClock;
    this.core = createCore(options, (event) => this.#onEvent(event));
  }

  get state(): ChatState {
    return this.core.state;
  }

  get reason(): string | undefined {
    return this.core.reason;
  }

  get me(): Chat['me'] {
    return this.core.me;
  }

  get sendings(): readonly Sending[] {
    return this.core.sendings;
  }

  now(): number {
    return this.core.now();
  }

  setPresence(status: PresenceStatus): void {
    this.#status = status;
    this.core.signal({ t: 'presence', status });
  }

  write(request: Write | Entry): Sending {
    return this.core.write(request);
  }

  join(conv: string): Sending {
    return this.write({ t: 'join', conv });
  }

  learn(views: Iterable<ConversationView>): void {
    for (const view of views) this.core.learn(view);
  }

  cursors(): Cursors {
    return this.core.cursors();
  }

  wake(): void {
    this.core.wake();
  }

  close(): void {
    this.core.close();
  }

  on<Type extends ChatEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void): () => void {
    return this.#events.on(type, listener as (event: ChatEvent) => void);
  }

  [Symbol.asyncIterator](): AsyncGenerator<ChatEvent, undefined> {
    return this.#events.all();
  }

  emit(event: ChatEvent): void {
    this.#events.emit(event);
  }

  #onEvent(event: BareEvent): void {
    switch (event.type) {
      case 'state':
        return this.#onState(event);
      case 'sending':
        return this.emit({ ...event, conversation: this.conversations.get(event.sending.conv) });
      case 'presence':
        return this.#onPresence(event);
      case 'typing':
      case 'receipt':
      case 'unread':
        return this.conversations.get(event.conv)?.onEvent(event);
      case 'gone':
        return this.#onGone(event.conv);
      case 'view':
      case 'message':
      case 'changed':
      case 'member':
      case 'conv':
      case 'told':
      case 'reset':
        return this.#conversation(event).onEvent(event);
    }
  }

  /** Signals of the connection before are out of date; those that still hold come again. */
  #onState(event: Extract<BareEvent, { type: 'state' }>): void {
    for (const { typing } of this.conversations.values()) typing.clear();
    if (event.state === 'online') {
      this.presence.clear();
      if (this.#status !== 'online') this.setPresence(this.#status);
    }
    this.emit(event);
  }

  #onPresence({ user, status, seen }: Extract<BareEvent, { type: 'presence' }>): void {
    this.presence.set(user, { status, seen });
    this.emit({ type: 'presence', user, status, seen });
  }

  #onGone(conv: string): void {
    const conversation = this.conversations.get(conv);
    this.conversations.delete(conv);
    conversation?.onGone();
  }

  #conversation({ conv }: { readonly conv: string }): LiveConversation {
    const known = this.conversations.get(conv);
    if (known !== undefined) return known;
    const conversation = new LiveConversation(conv, this);
    this.conversations.set(conv, conversation);
    return conversation;
  }
}
