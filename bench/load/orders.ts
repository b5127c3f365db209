// What the bench asks of a generator process and what it answers: plain data over the process channel.
// Every order gets exactly one answer, in order.

import type { DialectName } from './dialect.ts';

export interface ClientSpec {
  readonly token: string;
  readonly port: number;
  /** Source address towards loopback, 127.0.0.x: one has some 28,000 ports towards one server. Null: the system's choice. */
  readonly from: string | null;
}

/** Who writes where: a client by its index in this process, and a conversation. */
export interface Source {
  readonly client: number;
  readonly conv: string;
}

export interface OpenLoop {
  /** Messages a second, over all sources of this process, in turn. */
  readonly rate: number;
  /** Messages of one source sent in one write, at one instant. */
  readonly burst: number;
  readonly textBytes: number;
  readonly sources: readonly Source[];
  /** Its deliveries are not timed: it is there to disturb others. */
  readonly untimed: boolean;
  /** Stops by itself after this time, whatever happens to the bench. */
  readonly maxMs: number;
}

export interface ClosedLoop {
  /** Messages without an answer each source keeps under way. */
  readonly window: number;
  readonly textBytes: number;
  readonly sources: readonly Source[];
  readonly maxMs: number;
}

export interface HistoryLoop {
  /** Requests a second, over all sources of this process, in turn. */
  readonly rate: number;
  /** Pages end before a random seq in (limit, head]. */
  readonly head: number;
  readonly limit: number;
  readonly sources: readonly Source[];
  readonly maxMs: number;
}

export type Order =
  | {
      readonly do: 'connect';
      readonly dialect: DialectName;
      readonly host: string;
      readonly isSecure: boolean;
      readonly clients: readonly ClientSpec[];
      /** How many may be on their way at once. */
      readonly parallel: number;
      /** Begun a second at most; 0 = as fast as `parallel` allows. */
      readonly perSecond: number;
    }
  /** Ends all connections, and forgets them. */
  | { readonly do: 'disconnect' }
  /** From now on a connection that ends comes back on this port, after a random wait up to `spreadMs`. */
  | { readonly do: 'return'; readonly port: number; readonly spreadMs: number }
  /** These read nothing until `unpause`; their deliveries are not timed any more. */
  | { readonly do: 'pause' | 'unpause'; readonly clients: readonly number[] }
  | ({ readonly do: 'open-loop' } & OpenLoop)
  | ({ readonly do: 'closed-loop' } & ClosedLoop)
  | ({ readonly do: 'history-loop' } & HistoryLoop)
  | { readonly do: 'stop' }
  | { readonly do: 'counts' }
  | { readonly do: 'latencies' }
  | { readonly do: 'heads' }
  | { readonly do: 'owing'; readonly heads: Readonly<Record<string, number>> }
  | { readonly do: 'reckon'; readonly heads: Readonly<Record<string, number>> };

/** Running totals of one generator process, or of several added up. */
export interface Counts {
  /** Connections that are ready. */
  ready: number;
  sent: number;
  acked: number;
  /** Answers `error`, by code in `trouble`. */
  refused: number;
  /** Changes received, by connection. */
  delivered: number;
  /** Changes that came by `sync`, which a client sends where it is told that it is behind. */
  pulled: number;
  /** Connections that came back, are ready, and have heard `caught_up` or pulled for each of their conversations. */
  returned: number;
  /** Bytes of the frames of those changes, headers included. */
  deliveredBytes: number;
  /** Pushes without a number: presence, typing, receipts, unread. */
  ephemeral: number;
  /** Pages of history received in full. */
  pages: number;
  repeated: number;
  reordered: number;
  /** Never came, though its number was given; known after a reckoning. */
  lost: number;
  /** Connections that ended without being asked to. */
  dropped: number;
  /** CPU of the process. */
  cpuUs: number;
}

export interface Latencies {
  readonly ack: readonly number[];
  readonly delivery: readonly number[];
  readonly page: readonly number[];
}

export type Answer =
  | { readonly is: 'counts'; readonly counts: Counts; readonly trouble: Readonly<Record<string, number>> }
  | { readonly is: 'latencies'; readonly latencies: Latencies }
  | { readonly is: 'owing'; readonly owing: number }
  | { readonly is: 'heads'; readonly heads: Readonly<Record<string, number>> }
  | { readonly is: 'failed'; readonly why: string };
