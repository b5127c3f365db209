// Signals within one process: published ones are handed to the subscribers in the next turn of the event loop. Several
// nodes of one process (in tests) are ends of one medium.
import type { NodeId, OnSignal, Signal, Signals } from '../../ports/signals.ts';

/** All ends get what one of them publishes. */
export type Medium = Set<(signal: Signal, from: NodeId) => void>;

/** @param medium of all nodes; left out: of this one alone */
export function memorySignals(node: NodeId = 'here', medium: Medium = new Set()): Signals {
  const subscribers = new Set<OnSignal>();
  let waiting: [Signal, NodeId][] = [];

  function deliver(): void {
    const arrived = waiting;
    waiting = [];
    for (const [signal, from] of arrived) {
      for (const onSignal of [...subscribers]) {
        if (subscribers.has(onSignal)) tell(onSignal, signal, from);
      }
    }
  }

  medium.add((signal, from) => {
    if (waiting.length === 0) setImmediate(deliver);
    waiting.push([signal, from]);
  });

  return {
    node,
    isCut: false,
    publish(signal) {
      for (const arrive of medium) arrive(signal, node);
    },
    subscribe(onSignal) {
      // A function of its own for each subscription: the same listener may subscribe twice.
      const listener: OnSignal = (signal, from) => onSignal(signal, from);
      subscribers.add(listener);
      return () => subscribers.delete(listener);
    },
  };
}

/** A subscriber that throws is a defect, which must stay loud and must not cost the others their signal. */
function tell(onSignal: OnSignal, signal: Signal, from: NodeId): void {
  try {
    onSignal(signal, from);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
