// The three ways to make load: an open loop (fixed rate, whatever the answers do), a closed loop (a fixed number
// under way, for capacity only) and pages of history at a fixed rate. All end by themselves.
import type { Client } from './client.ts';
import { type MessageFrames, nowUs } from './message-frames.ts';
import type { ClosedLoop, HistoryLoop, OpenLoop, Source } from './orders.ts';

export interface Crew {
  readonly frames: MessageFrames;
  readonly clients: readonly Client[];
  sent: number;
}

/** @returns what stops it */
export type Stop = () => void;

/** Calls `fire` for every instant that is due, late ones too: the rate holds and lateness counts as latency. */
function atRate(perSecond: number, maxMs: number, fire: (intendedUs: number, index: number) => void): Stop {
  const startUs = nowUs();
  const stepUs = 1_000_000 / perSecond;
  const endUs = startUs + maxMs * 1_000;
  let index = 0;
  let timer = setTimeout(tick, 1);
  function tick(): void {
    const now = nowUs();
    for (let due = startUs + index * stepUs; due <= now; due = startUs + index * stepUs) fire(due, index++);
    if (now < endUs) timer = setTimeout(tick, 1);
  }
  return () => clearTimeout(timer);
}

export function openLoop(crew: Crew, order: OpenLoop): Stop {
  const { sources, burst } = order;
  return atRate(order.rate / burst, order.maxMs, (intendedUs, index) => {
    const source = sources[index % sources.length] as Source;
    sendBurst(crew, source, intendedUs, burst, order);
  });
}

interface Wording {
  readonly textBytes: number;
  readonly untimed?: boolean;
}

function sendBurst(crew: Crew, source: Source, intendedUs: number, burst: number, wording: Wording): void {
  const { textBytes, untimed = false } = wording;
  const client = crew.clients[source.client] as Client;
  crew.sent += burst;
  const frames = Array.from({ length: burst }, () => crew.frames.message(source.conv, intendedUs, textBytes, !untimed));
  client.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
}

/** Answers free a place; what is owed is sent in one write at the end of the read that brought the answers. */
export function closedLoop(crew: Crew, order: ClosedLoop): Stop {
  const clients = order.sources.map((source) => crew.clients[source.client] as Client);
  order.sources.forEach((source, index) => {
    const client = clients[index] as Client;
    client.flush = () => {
      sendBurst(crew, source, nowUs(), client.owed, order);
      client.owed = 0;
    };
    client.owed = order.window;
    client.flush();
  });
  const timer = setTimeout(stop, order.maxMs);
  function stop(): void {
    clearTimeout(timer);
    for (const client of clients) client.flush = null;
  }
  return stop;
}

export function historyLoop(crew: Crew, order: HistoryLoop): Stop {
  const { sources, head, limit } = order;
  return atRate(order.rate, order.maxMs, (intendedUs, index) => {
    const source = sources[index % sources.length] as Source;
    const before = limit + 2 + Math.floor(Math.random() * (head - limit - 1));
    crew.sent++;
    (crew.clients[source.client] as Client).write(crew.frames.history(source.conv, intendedUs, before, limit));
  });
}
