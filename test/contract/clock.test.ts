import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { fakeClock } from '../kit/clock.ts';
import { clockContract } from './clock.ts';

t.test('the machine', async (t) => {
  clockContract(t, () => {
    const clock = systemClock();
    return { clock, pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };
  });

  t.test('law 2: timers do not keep the process alive', async (t) => {
    const { NODE_OPTIONS: _ours, ...env } = process.env;
    const source = new URL('../../src/adapters/memory/clock.ts', import.meta.url);
    const script = `const { systemClock } = await import(${JSON.stringify(source.href)});
      const clock = systemClock(); clock.every(1e6, () => {}); clock.after(1e6, () => {}); console.log('done');`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
    t.equal(stdout, 'done\n');
  });
});

t.test('the clock of tests', async (t) => {
  clockContract(t, () => {
    const clock = fakeClock();
    return { clock, pass: async (ms) => clock.advance(ms) };
  });

  t.test('calls fall due in the order of their time, each at its own moment', async (t) => {
    const clock = fakeClock(1_000);
    const seen: string[] = [];
    clock.after(20, () => seen.push(`late ${clock.now()}`));
    clock.every(8, () => seen.push(`every ${clock.now()}`));
    clock.after(10, () => clock.after(5, () => seen.push(`nested ${clock.now()}`)));
    clock.advance(20);
    t.same(seen, ['every 1008', 'nested 1015', 'every 1016', 'late 1020']);
  });
});
