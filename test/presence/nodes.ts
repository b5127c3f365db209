// Nodes of a cluster as far as presence goes, in one process: each with a clock of its own, which stands still once the
// node is dead.
import { setImmediate as turn } from 'node:timers/promises';
import type { NodeId, Signal, Signals } from '../../src/ports/signals.ts';
import { Neighbours, Presence, type Told } from '../../src/presence/index.ts';
import type { PresenceStatus } from '../../src/protocol/answers.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { type FakeClock, fakeClock } from '../kit/clock.ts';
import { eventually } from '../kit/waiting.ts';

export const CONVS = ['c1' as ConvId];

export interface PresenceNode {
  readonly signals: Signals;
  readonly clock: FakeClock;
  readonly presence: Presence;
  readonly neighbours: Neighbours;
  readonly told: readonly Told[];
  /** The connections a user has here. */
  has(user: string, ...statuses: PresenceStatus[]): void;
  statusOf(user: string): PresenceStatus;
  /** What was told of a user so far. */
  toldOf(user: string): readonly PresenceStatus[];
}

export function presenceNode(signals: Signals, clock = fakeClock()): PresenceNode {
  const presence = new Presence(signals, clock);
  const told: Told[] = [];
  presence.subscribe((some) => told.push(...some));
  return {
    signals,
    clock,
    presence,
    neighbours: new Neighbours(signals, clock, presence.roster),
    told,
    has: (user, ...statuses) => presence.onStatuses(user as UserId, statuses, CONVS),
    statusOf: (user) => presence.of(user as UserId)?.status ?? 'offline',
    toldOf: (user) => told.flatMap((one) => (one.user === user ? [one.status] : [])),
  };
}

/** Waits until every node has heard what every other has published so far, and has told what follows from it. */
export async function settle(nodes: readonly PresenceNode[]): Promise<void> {
  const missing = new Set(nodes.flatMap((node) => nodes.map((from) => `${node.signals.node} ${from.signals.node}`)));
  const fence = `fence ${Math.random()}`;
  const stops = nodes.map(({ signals }) =>
    signals.subscribe((signal: Signal, from: NodeId) => {
      if (signal.is === 'ended' && signal.sessions[0] === fence) missing.delete(`${signals.node} ${from}`);
    }),
  );
  await turn();
  for (const { signals } of nodes) signals.publish({ is: 'ended', sessions: [fence as never] });
  await eventually(() => missing.size === 0, 1);
  for (const stop of stops) stop();
  await turn();
}

/** Lets seconds pass for living nodes, each hearing the others all the while. */
export async function pass(nodes: readonly PresenceNode[], seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    for (const { clock } of nodes) clock.advance(1_000);
    await settle(nodes);
  }
}
