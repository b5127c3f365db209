// Signals within one process: published ones are handed to the subscribers in the next turn of the event loop.
import type { Signal, Signals } from '../../ports/signals.ts';

export function memorySignals(): Signals {
  const subscribers = new Set<(signal: Signal) => void>();
  let waiting: Signal[] = [];

  function deliver(): void {
    const signals = waiting;
    waiting = [];
    for (const signal of signals) {
      for (const onSignal of [...subscribers]) {
        if (subscribers.has(onSignal)) tell(onSignal, signal);
      }
    }
  }

  return {
    publish(signal) {
      if (waiting.length === 0) setImmediate(deliver);
      waiting.push(signal);
    },
    subscribe(onSignal) {
      // A function of its own for each subscription: the same listener may subscribe twice.
      const listener = (signal: Signal): void => onSignal(signal);
      subscribers.add(listener);
      return () => subscribers.delete(listener);
    },
  };
}

/** A subscriber that throws is a defect, which must stay loud and must not cost the others their signal. */
function tell(onSignal: (signal: Signal) => void, signal: Signal): void {
  try {
    onSignal(signal);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
