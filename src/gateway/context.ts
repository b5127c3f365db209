// What the gateway's parts work with: the domain behind it, wired once in gateway.ts.
import type { Accounts } from '../accounts/index.ts';
import type { Directory } from '../conversations/index.ts';
import type { Counters } from '../counters.ts';
import type { Path, Reads } from '../messages/index.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Presence, Typing } from '../presence/index.ts';
import type { InTurn } from '../queue.ts';
import type { Marks } from '../receipts/index.ts';
import type { Connection } from './connection.ts';
import type { Hub } from './hub.ts';
import type { Wheel } from './wheel.ts';

export interface Context {
  readonly accounts: Accounts;
  readonly greetInTurn: InTurn;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly directory: Directory;
  readonly hub: Hub<Connection>;
  readonly log: Log;
  readonly marks: Marks;
  readonly path: Path;
  readonly presence: Presence;
  readonly reads: Reads;
  readonly typing: Typing;
  readonly wheel: Wheel;
  readonly maxConnectionsPerUser: number;
}
