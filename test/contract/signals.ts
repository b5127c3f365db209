// The contract of Signals (src/ports/signals.ts): every adapter passes it.
import type { Test } from 'tap';
import type { Signal, Signals } from '../../src/ports/signals.ts';
import type { SessionId } from '../../src/protocol/ids.ts';

export interface SignalsUnderTest {
  /** Ends of one medium: what one publishes, all hear. One process-local adapter may give the same object twice. */
  readonly nodes: readonly [Signals, Signals];
}

function ended(name: string): Signal {
  return { is: 'ended', sessions: [name as SessionId] };
}

/** Collects signals; `until` resolves once so many have come. */
function listen(signals: Signals) {
  const heard: Signal[] = [];
  let onHeard = () => {};
  const stop = signals.subscribe((signal) => {
    heard.push(signal);
    onHeard();
  });
  async function until(count: number): Promise<readonly Signal[]> {
    while (heard.length < count) {
      await new Promise<void>((resolve) => {
        onHeard = resolve;
      });
    }
    return heard;
  }
  return { heard, stop, until };
}

export function signalsContract(t: Test, open: (t: Test) => Promise<SignalsUnderTest>): void {
  t.test('law 1: a signal reaches every subscriber once, those of the publisher included', async (t) => {
    const { nodes } = await open(t);
    const listeners = [listen(nodes[0]), listen(nodes[0]), listen(nodes[1])];
    nodes[0].publish(ended('s1'));
    nodes[1].publish(ended('s2'));
    for (const listener of listeners) await listener.until(2);
    nodes[0].publish(ended('last'));
    for (const listener of listeners) {
      const heard = await listener.until(3);
      t.equal(heard.length, 3);
      t.same(heard.at(-1), ended('last'));
    }
  });

  t.test('law 1: who unsubscribed hears nothing more', async (t) => {
    const { nodes } = await open(t);
    const [gone, stays] = [listen(nodes[0]), listen(nodes[0])];
    nodes[0].publish(ended('s1'));
    gone.stop();
    gone.stop();
    await stays.until(1);
    t.same(gone.heard, []);
  });

  t.test('law 2: the signals of one publisher arrive in their order', async (t) => {
    const { nodes } = await open(t);
    const listener = listen(nodes[1]);
    const names = Array.from({ length: 500 }, (_, index) => `s${index}`);
    for (const name of names) nodes[0].publish(ended(name));
    t.same(await listener.until(names.length), names.map(ended));
  });

  t.test('law 2: what a subscriber publishes while it listens comes after what was waiting', async (t) => {
    const { nodes } = await open(t);
    const listener = listen(nodes[0]);
    const stop = nodes[0].subscribe((signal) => {
      if (signal.is === 'ended' && signal.sessions[0] === 's1') nodes[0].publish(ended('s3'));
    });
    nodes[0].publish(ended('s1'));
    nodes[0].publish(ended('s2'));
    t.same(await listener.until(3), [ended('s1'), ended('s2'), ended('s3')]);
    stop();
  });

  t.test('law 3: nothing is delivered before publish has returned', async (t) => {
    const { nodes } = await open(t);
    const listener = listen(nodes[0]);
    nodes[0].publish(ended('s1'));
    t.same(listener.heard, []);
    t.same(await listener.until(1), [ended('s1')]);
  });

  t.test('law 4: a publisher is not told whether anyone listens', async (t) => {
    const { nodes } = await open(t);
    nodes[0].publish(ended('s1'));
    const listener = listen(nodes[0]);
    nodes[0].publish(ended('s2'));
    t.same((await listener.until(1)).at(-1), ended('s2'));
  });
}
