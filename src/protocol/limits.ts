// The protocol's fixed limits. Limits an operator sets (rate, outbox, connections) live in config.ts.

/** Longest WebSocket message a client may send, bytes; told in `welcome.limits.frame`, exceeded = close 1009. */
export const MAX_FRAME_BYTES = 65_536;
/** Longest text, Unicode code points; exceeded = `too_large`. */
export const MAX_TEXT = 4_000;
/** Longest title and topic, code points. */
export const MAX_TITLE = 200;
export const MAX_TOPIC = 1_000;
/** Time from the WebSocket's opening to `hello`, ms; exceeded = close 4502. */
export const AUTH_TIMEOUT_MS = 10_000;
/** Time between two WebSocket pings, ms; nothing received for two of them = close 4005. */
export const HEARTBEAT_MS = 25_000;
export const MAX_SINCE = 500;
/** Most changes of one conversation replayed by `hello.since`; more = `behind`. */
export const MAX_REPLAY = 500;
/** Most bytes of them, where the store is asked; more = `behind`. As much as an empty outbox takes by default. */
export const MAX_REPLAY_BYTES = 524_288;
export const MAX_READY_CONVS = 100;
export const MAX_SYNC_LIMIT = 500;
export const DEFAULT_SYNC_LIMIT = 200;
export const MAX_HISTORY_LIMIT = 200;
export const DEFAULT_HISTORY_LIMIT = 50;
/** An answer ends after this many bytes (with at least one item) and `more:true`. */
export const MAX_ANSWER_BYTES = 131_072;
/** Unanswered `sync` and `history` requests a connection may have; one more is `rate_limited`. */
export const MAX_READS_IN_FLIGHT = 4;
export const MAX_FILES = 10;
/** Names looked up in one text; further ones are text only. */
export const MAX_MENTIONS = 50;
/** User ids in one request (`members`, `users`). */
export const MAX_USERS_PER_REQUEST = 100;
/** Receipts and presence are not sent in conversations with more members. */
export const MAX_SIGNAL_MEMBERS = 100;
/** Faulty frames (`bad_json`, `bad_frame`, `unknown_type`) within FAULT_WINDOW_MS that close a connection (4501). */
export const MAX_FAULTS = 10;
export const FAULT_WINDOW_MS = 10_000;
/** Refusals by the token bucket within FAULT_WINDOW_MS, in multiples of the burst, that close a connection (4004). */
export const FLOOD_BURSTS = 5;
export const TYPING_EVERY_MS = 3_000;
export const TYPING_ENDS_MS = 6_000;
export const RECEIVED_EVERY_MS = 1_000;
/** A refresh token repeated within this time, its successor unused, is two tabs and not a theft. */
export const REFRESH_GRACE_MS = 10_000;
