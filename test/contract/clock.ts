// The contract of Clock (src/ports/clock.ts): the real one and the tests' own pass it.
import type { Test } from 'tap';
import type { Clock } from '../../src/ports/clock.ts';

export interface ClockUnderTest {
  readonly clock: Clock;
  /** Lets at least this much time pass on it. */
  pass(ms: number): Promise<void>;
}

export function clockContract(t: Test, open: () => ClockUnderTest): void {
  t.test('law 1: now is wall time, and monotonic never goes back', async (t) => {
    const { clock, pass } = open();
    t.ok(clock.now() > 1_700_000_000_000 && clock.now() < 4_000_000_000_000);
    const first = clock.monotonic();
    await pass(2);
    t.ok(clock.monotonic() >= first + 1);
  });

  t.test('law 2: after calls once', async (t) => {
    const { clock, pass } = open();
    let calls = 0;
    clock.after(1, () => calls++);
    t.equal(calls, 0, 'never at once');
    await pass(30);
    t.equal(calls, 1);
  });

  t.test('law 2: every calls again and again until cancelled', async (t) => {
    const { clock, pass } = open();
    let calls = 0;
    const cancel = clock.every(1, () => {
      calls++;
      if (calls === 3) cancel();
    });
    while (calls < 3) await pass(1);
    await pass(20);
    t.equal(calls, 3);
  });

  t.test('law 2: what is cancelled before its time never calls', async (t) => {
    const { clock, pass } = open();
    let calls = 0;
    clock.after(5, () => calls++)();
    clock.every(5, () => calls++)();
    await pass(30);
    t.equal(calls, 0);
  });

  t.test('law 2: a delay of months does not fire at once', async (t) => {
    const { clock, pass } = open();
    let calls = 0;
    const cancels = [clock.after(10_000_000_000, () => calls++), clock.every(10_000_000_000, () => calls++)];
    await pass(20);
    t.equal(calls, 0);
    for (const cancel of cancels) cancel();
  });
}
