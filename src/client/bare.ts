// The client without views: what happens, told once and in order. For bots, workers and whoever has a store of their own;
// 4 kB.
import { createCore } from './core.ts';
import { createEvents } from './events.ts';
import type { BareChat, BareEvent, ConnectOptions } from './types.ts';

export { Refusal } from './refusal.ts';
export type * from './types.ts';

/** Connects, stays connected, and tells what happens. Begins at once. */
export function connect(options: ConnectOptions): BareChat {
  const { on, emit, all } = createEvents<BareEvent>();
  return Object.assign(createCore(options, emit), { on, [Symbol.asyncIterator]: all }) as never;
}
