// The whole public face of the client: what `connect` takes, what a chat and its conversations show and do, and what they
// tell. No code. Everything readonly is live: read it again after an event, never keep a copy. Ids are plain strings, times
// are ms, `seq`, `n` and `rev` are as docs/protocol.md says.
import type { Ephemeral, PresenceStatus } from '../protocol/answers.ts';
import type { ChangeBody, ConvChange } from '../protocol/changes.ts';
import type { ConvKind, MessageNumber, Millis, Seq, Standing } from '../protocol/ids.ts';
import type { ConvState, MessageState } from '../protocol/states.ts';
import type { Refusal } from './refusal.ts';

export type { ErrorCode } from '../errors.ts';
export type { PresenceStatus } from '../protocol/answers.ts';
export type { ChangeBody } from '../protocol/changes.ts';
export type { ConvKind, Role, Standing } from '../protocol/ids.ts';
export type { ConvState, ItemState, MemberState, MessageState } from '../protocol/states.ts';

// ---- connecting ----------------------------------------------------------------------------------------------------

export interface ConnectOptions {
  /** `wss://host/ws`. A page's own server: `new URL('/ws', location.href)` with the scheme `ws` or `wss`. */
  readonly url: string;
  /**
   * Gives the access token; asked before each connection, and again before a token whose `expiresIn` it told runs out.
   * @param isRefused the last one was `invalid_token`: give a fresh one, not one that is kept
   * @throws an error whose `code` is `invalid_token` when there is no login any more: the chat closes with that reason.
   * After any other error it is asked again, as after a lost connection.
   */
  readonly token: (isRefused: boolean) => Promise<string | AccessToken> | string | AccessToken;
  /** A name of this device for people, 1-40 characters. */
  readonly device?: string;
  /** Which ephemeral news this connection gets; all by default. `receipts` includes one's own read mark of other devices. */
  readonly want?: readonly Want[];
  /** Where unsent writes wait; in memory by default. One per user: what it holds is sent as whoever signs in. */
  readonly outbox?: Outbox;
  /** Cursors of an earlier run (`chat.cursors()`): nothing since then is missed. Without it a chat begins now. */
  readonly since?: Cursors;
  /** The constructor of sockets; the global one by default, without which `connect` throws: give Node 20 that of `ws`. */
  readonly WebSocket?: SocketConstructor;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface AccessToken {
  readonly access: string;
  /** Seconds it works. Told, it is renewed in time, by the only timer an idle chat has; else the connection is made anew. */
  readonly expiresIn?: number;
}

export type Want = 'typing' | 'presence' | 'receipts';

/** The last change held of each conversation, and the log they count in. At most 500 are made use of. */
export interface Cursors {
  readonly epoch: string;
  readonly convs: Readonly<Record<string, Seq>>;
}

export interface Clock {
  /** ms since 1970. */
  now(): Millis;
  /** Calls back once. @returns what takes it back */
  after(ms: Millis, run: () => void): () => void;
}

/** What is needed of a WebSocket (https://websockets.spec.whatwg.org/#the-websocket-interface). */
export interface Socket {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
// biome-ignore lint/suspicious/noExplicitAny: the browser's, Node's and ws's sockets have handlers of other event types.
export type SocketConstructor = new (url: string, protocol: string) => { [Name in keyof Socket]: any };

// ---- the chat ------------------------------------------------------------------------------------------------------

/**
 * `connecting` (token, socket, hello), `online`, `offline` (waits before it tries again), `closed` (for good: by `close()`,
 * by a close code of 4500-4999, or since there is no login).
 */
export type ChatState = 'connecting' | 'online' | 'offline' | 'closed';

export interface Chat {
  readonly state: ChatState;
  /** Why it is offline or closed: an error code, the number of a close code, `bye`, `silent`, or `closed` by `close()`. */
  readonly reason: string | undefined;
  /** Who is signed in; undefined before the first `online`. */
  readonly me: { readonly id: string; readonly name: string } | undefined;
  /** Those one is in or invited to. The hundred latest active by themselves, the rest by `follow` of ./http.ts. */
  readonly conversations: ReadonlyMap<string, Conversation>;
  /** People shared with in direct and group conversations; who is missing was offline when this connection began. */
  readonly presence: ReadonlyMap<string, Presence>;
  /** Own writes that are not acknowledged, refused, or not yet in their conversation; in the order made. */
  readonly sendings: readonly Sending[];
  /** Server time as far as it is known. */
  now(): Millis;
  /** What one appears as; told again after each reconnect. `offline` hides. */
  setPresence(status: PresenceStatus): void;
  /**
   * A durable request. `conversation.send` and its like are this with a name.
   * @param request with an id: the same one as whatever bore it before, in this run or another; it is written once
   */
  write(request: Write | Entry): Sending;
  /** Enters a public room, or a conversation one is invited to. */
  join(conv: string): Sending;
  /** What HTTP knows of conversations (`GET /conversations`): fields of known ones, and more of them. */
  learn(views: Iterable<ConversationView>): void;
  /** For the next run's `since`. Only what has been told by events is counted in. */
  cursors(): Cursors;
  /**
   * Offline: tries again now. Online: makes sure the connection is alive, which else shows with the next request only
   * (browsers hide pings, and an idle chat has no timers). Call it when the network or the page comes back, a bot now and
   * then. Closed for a reason outside: begins again.
   */
  wake(): void;
  /** Ends it. What is unsent stays in the outbox. */
  close(): void;
  /** Calls a listener at each event of a type. @returns what ends that */
  on<Type extends ChatEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void): () => void;
  /** All events from now on, until it is left or the chat is closed. What is not taken waits in memory. */
  [Symbol.asyncIterator](): AsyncIterator<ChatEvent, undefined>;
}

export interface Presence {
  readonly status: PresenceStatus;
  /** When last seen. */
  readonly seen: Millis;
}

/** An entry of `ready.convs` or of `GET /conversations`. */
export interface ConversationView {
  readonly conv: string;
  readonly kind: ConvKind;
  readonly title?: string;
  readonly topic?: string;
  readonly public?: boolean;
  readonly seq: Seq;
  readonly n: MessageNumber;
  readonly read: MessageNumber;
  readonly role: Standing;
  readonly peer?: string;
  readonly last?: MessageState;
}

// ---- a conversation ------------------------------------------------------------------------------------------------

export interface Conversation {
  readonly conv: string;
  /** Undefined until it is told: who is added to a conversation hears of the adding only. `follow` of ./http.ts asks. */
  readonly kind: ConvKind | undefined;
  readonly title: string | undefined;
  readonly topic: string | undefined;
  readonly public: boolean | undefined;
  /** `none` once one is out of it. */
  readonly role: Standing;
  /** The other side of a direct. */
  readonly peer: string | undefined;
  /** The last change known to exist. */
  readonly seq: Seq;
  /** How many messages there are, deleted ones included. */
  readonly n: MessageNumber;
  /** How far one has read, in `n`. */
  readonly read: MessageNumber;
  /** `n - read`. */
  readonly unread: number;
  /** Time of the last change known, of the newest message at least; 0 = of none yet. Sort by it, then by `seq`. */
  readonly at: Millis;
  /** The newest message; undefined while it is not known. */
  readonly last: MessageState | undefined;
  readonly typing: ReadonlySet<string>;
  /** Marks of others, in `n`, as they were told since this chat began. */
  readonly receipts: ReadonlyMap<string, Marks>;
  /** Undefined until they are loaded (`loadMembers` of ./http.ts), or told by the creation; then kept up to date. */
  members: Map<string, Standing> | undefined;
  /** Own writes here, as `chat.sendings`. */
  readonly pending: readonly Sending[];

  /** Messages held: without gaps, ascending by `seq`. Empty until opened. A new array at each change. */
  readonly messages: readonly MessageState[];
  readonly isOpen: boolean;
  /** There may be messages before the first held, after the last held. While there are newer ones, new messages are told but not held. */
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;

  /**
   * Holds the newest messages and keeps them up to date. Opened already: loads the newest anew.
   * @param limit 1-200 messages, 50 by default; an answer may be shorter
   * @throws Refusal
   */
  open(limit?: number): Promise<void>;
  /** Holds the messages around one, instead of what was held. */
  around(seq: Seq, limit?: number): Promise<void>;
  /** Adds a page before the first, after the last held; nothing where that one is held no more when the page comes. */
  older(limit?: number): Promise<void>;
  newer(limit?: number): Promise<void>;
  /** Lets go of what is held outside a range of `seq`, both included. */
  trim(from: Seq, to: Seq): void;
  /** Lets go of all messages. */
  close(): void;

  /**
   * Sends a message: at once visible in `pending`, written once, however often it has to be repeated.
   * @param text 1-4,000 code points, kept as it is
   */
  send(text: string, options?: { readonly reply?: Seq }): Sending;
  edit(seq: Seq, text: string): Sending;
  /** Deletes for all. */
  remove(seq: Seq): Sending;
  leave(): Sending;
  /** Has read up to a message; to the newest by default. Kept until the server has it. @param options.unread may go back */
  markRead(n?: MessageNumber, options?: { readonly unread?: boolean }): void;
  /** Has got everything up to the newest message known: a signal, at most one a second is told. */
  markReceived(): void;
  /** Call it at each key: it is told once in 3 s. `false` when the text is given up; sending needs none. */
  setTyping(on?: boolean): void;
}

export interface Marks {
  readonly read: MessageNumber;
  readonly received: MessageNumber;
}

// ---- writing -------------------------------------------------------------------------------------------------------

/** Durable requests, without their id. */
export type Write =
  | { readonly t: 'message'; readonly conv: string; readonly text: string; readonly reply?: Seq }
  | { readonly t: 'edit'; readonly conv: string; readonly seq: Seq; readonly text: string }
  | { readonly t: 'delete'; readonly conv: string; readonly seq: Seq; readonly for: 'all' }
  | { readonly t: 'join' | 'leave'; readonly conv: string };

/** A durable request with its id, which is its key for ever: what an outbox keeps. JSON. */
export type Entry = Write & { readonly id: string };

export interface Receipt {
  /** None where it had no effect. */
  readonly seq?: Seq;
  readonly n?: MessageNumber;
  readonly at?: Millis;
}

/** One of one's own writes on its way. */
export interface Sending {
  readonly id: string;
  readonly conv: string;
  readonly request: Entry;
  /** When it was made, by the server's clock; one from an earlier run: when that run made it. */
  readonly createdAt: Millis;
  /** `waiting` (not acknowledged: it may have been written), `sent` (acknowledged), `refused` (never written, kept for `retry`). */
  readonly state: 'waiting' | 'sent' | 'refused';
  /** Why it was refused. */
  readonly error: Refusal | undefined;
  /** Resolves with `sent`, rejects with a Refusal; unsettled for as long as it waits. Need not be handled. */
  readonly done: Promise<Receipt>;
  /** Refused: sends it again, with the same id, behind all others. @returns the one that takes its place */
  retry(): Sending;
  /** Gives it up. What waits may have been written all the same. */
  discard(): void;
}

/**
 * Where writes wait until the server has them, across reloads and restarts. Calls come in order and are not waited for
 * between each other; a write is put before it is sent. What cannot be put is sent all the same.
 * Adapters: ./outbox-idb.ts (browser), ./outbox-file.ts (Node).
 */
export interface Outbox {
  /** Called once, first: what was put before and not taken out, in the order put. */
  load(): Promise<readonly Entry[]>;
  /** Resolves when it will be found after a crash. */
  put(entry: Entry): Promise<void>;
  remove(id: string): Promise<void>;
  /** The chat has been closed: what waits here may be sent by another one from now on. */
  close?(): void;
}

// ---- events --------------------------------------------------------------------------------------------------------

export type ChatEvent =
  | { readonly type: 'state'; readonly state: ChatState; readonly reason: string | undefined }
  /** A new message, one's own included: each once, ascending in its conversation, held or not. Deleted since: `deleted`. */
  | { readonly type: 'message'; readonly conversation: Conversation; readonly message: MessageState }
  /** A message told or held before was edited, deleted, ... `message` is its state where that is known. */
  | {
      readonly type: 'changed';
      readonly conversation: Conversation;
      readonly seq: Seq;
      readonly message: MessageState | undefined;
      /** What changed it; of several while away only the outcome is known. */
      readonly change: ChangeBody | undefined;
    }
  /** Somebody is now this. */
  | {
      readonly type: 'member';
      readonly conversation: Conversation;
      readonly user: string;
      readonly role: Standing;
      readonly change: ChangeBody | undefined;
    }
  /** New, or what it shows beside messages' contents is new: title, role, marks, what is held. */
  | { readonly type: 'conversation'; readonly conversation: Conversation }
  /** One is not in it any more, or it was deleted. */
  | { readonly type: 'gone'; readonly conversation: Conversation }
  /** The server lost some of it: messages told before may not exist. What is held is loaded anew where it is open. */
  | { readonly type: 'reset'; readonly conversation: Conversation }
  | { readonly type: 'typing'; readonly conversation: Conversation; readonly user: string; readonly on: boolean }
  | ({ readonly type: 'presence'; readonly user: string } & Presence)
  | ({ readonly type: 'receipt'; readonly conversation: Conversation; readonly user: string } & Marks)
  /** One's own read mark moved. */
  | { readonly type: 'unread'; readonly conversation: Conversation }
  /** A write is new, acknowledged, refused, or no longer pending. `conversation` is undefined where one is not in it. */
  | { readonly type: 'sending'; readonly conversation: Conversation | undefined; readonly sending: Sending };

export type EventOf<Type extends ChatEvent['type']> = Extract<ChatEvent, { type: Type }>;

// ---- the core alone (./bare.ts) --------------------------------------------------------------------------------------

/** A chat without views: it tells what happens, each thing once and in order, and keeps cursors and unsent writes only. */
export interface BareChat {
  readonly state: ChatState;
  readonly reason: string | undefined;
  readonly me: { readonly id: string; readonly name: string } | undefined;
  readonly sendings: readonly Sending[];
  now(): Millis;
  write(request: Write | Entry): Sending;
  /** A request that is no write: `history`, `read`. Repeated until it is answered. @throws Refusal */
  ask<Answer>(request: {
    readonly t: string;
    readonly conv: string;
    readonly [field: string]: unknown;
  }): Promise<Answer>;
  /** A signal: `typing`, `received`, `presence`. Lost while not online. */
  signal(frame: { readonly t: string; readonly [field: string]: unknown }): void;
  /** What HTTP knows of a conversation: told as `view` unless changes have overtaken it. */
  learn(view: ConversationView): void;
  cursors(): Cursors;
  wake(): void;
  close(): void;
  on<Type extends BareEvent['type']>(
    type: Type,
    listener: (event: Extract<BareEvent, { type: Type }>) => void,
  ): () => void;
  [Symbol.asyncIterator](): AsyncIterator<BareEvent, undefined>;
}

/** As ChatEvent says; of a conversation by its id. Frames of a later version come as they are, their `t` as type. */
export type BareEvent =
  | { readonly type: 'state'; readonly state: ChatState; readonly reason: string | undefined }
  /** Of one that is new, or as new as what was told. `isNow`: told by `ready`, or new. */
  | { readonly type: 'view'; readonly conv: string; readonly view: ConversationView; readonly isNow: boolean }
  | { readonly type: 'message'; readonly conv: string; readonly message: MessageState }
  | {
      readonly type: 'changed';
      readonly conv: string;
      readonly seq: Seq;
      readonly message: MessageState | undefined;
      readonly change: ChangeBody | undefined;
    }
  | {
      readonly type: 'member';
      readonly conv: string;
      readonly user: string;
      readonly role: Standing;
      readonly change: ChangeBody | undefined;
    }
  /** Fields of the conversation itself. */
  | { readonly type: 'conv'; readonly conv: string; readonly fields: ConvChange | ConvState }
  /** All up to `seq` has been told. */
  | { readonly type: 'told'; readonly conv: string; readonly seq: Seq }
  | { readonly type: 'gone'; readonly conv: string }
  | { readonly type: 'reset'; readonly conv: string }
  | { readonly type: 'sending'; readonly sending: Sending }
  | ({ readonly type: 'typing' } & Extract<Ephemeral, { t: 'typing' }>)
  | ({ readonly type: 'presence' } & Extract<Ephemeral, { t: 'presence' }>)
  | ({ readonly type: 'receipt' } & Extract<Ephemeral, { t: 'receipt' }>)
  | ({ readonly type: 'unread' } & Extract<Ephemeral, { t: 'unread' }>);
