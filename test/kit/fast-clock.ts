// Loaded before src/main.ts (`node --import`), stands in the place of the machine's clock: one that runs faster, so that
// what the server does after seconds of silence can be waited for. The date stays as it is: tokens live by it.
import { registerHooks } from 'node:module';
import type { Clock } from '../../src/ports/clock.ts';

const SPEED = 20;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier.endsWith('/adapters/memory/clock.ts')
      ? { url: import.meta.url, shortCircuit: true }
      : next(specifier, context),
});

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now() * SPEED,
    every(ms, call) {
      const timer = setInterval(call, ms / SPEED).unref();
      return () => clearInterval(timer);
    },
    after(ms, call) {
      const timer = setTimeout(call, ms / SPEED).unref();
      return () => clearTimeout(timer);
    },
  };
}
