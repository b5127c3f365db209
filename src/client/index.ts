// The client: everything an application imports, but HTTP and the outboxes that outlive a run.
import { LiveChat } from './chat.ts';
import type { Chat, ConnectOptions } from './types.ts';

export { Refusal } from './refusal.ts';
export type * from './types.ts';

/** Connects, stays connected, and shows what the server knows. Begins at once. */
export function connect(options: ConnectOptions): Chat {
  return new LiveChat(options);
}
