import t from 'tap';
import { memorySignals } from '../../src/adapters/memory/signals.ts';
import { signalsContract } from './signals.ts';

t.test('memory', async (t) => {
  signalsContract(t, async () => {
    const signals = memorySignals();
    return { nodes: [signals, signals] };
  });
});
