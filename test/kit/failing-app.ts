// Loaded before src/main.ts (`node --import`), stands in the place of src/app.ts: an app that does what FAILING_APP says, to
// see what the process makes of it. Signals are its cues, since they reach it at a known moment.
import { once } from 'node:events';
import { registerHooks } from 'node:module';
import type { Logger } from 'pino';
import { StartError } from '../../src/errors.ts';

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './app.ts' ? { url: import.meta.url, shortCircuit: true } : next(specifier, context),
});

const APPS: Readonly<Record<string, (log: Logger) => Promise<() => Promise<void>>>> = {
  'refuses to start': async () => {
    throw new StartError('CHAT_DATA "/x" is not ours\nCHAT_PORT 80 is taken');
  },
  'fails to start': async () => {
    throw new TypeError('a defect at the start');
  },
  'starts on SIGUSR2': async (log) => {
    log.info('starting');
    await once(process, 'SIGUSR2');
    return async () => {};
  },
  'throws on SIGUSR2': async () => {
    process.on('SIGUSR2', () => {
      throw new TypeError('a defect while serving');
    });
    return async () => {};
  },
  'forgets a promise on SIGUSR2': async () => {
    process.on('SIGUSR2', () => {
      void Promise.reject(new TypeError('a forgotten promise'));
    });
    return async () => {};
  },
  'never stops': async () => () => new Promise(() => {}),
  'fails to stop': async () => async () => {
    throw new TypeError('a defect at the end');
  },
};

export async function startApp(_config: unknown, log: Logger): Promise<{ address: string; stop(): Promise<void> }> {
  const start = APPS[process.env.FAILING_APP ?? ''];
  if (start === undefined) throw new Error('FAILING_APP names no app');
  // As a listening socket would, keeps the process alive.
  setInterval(() => {}, 60_000);
  return { address: 'http://127.0.0.1:1', stop: await start(log) };
}
