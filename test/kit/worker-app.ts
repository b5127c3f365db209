// Loaded before src/main.ts (`node --import`), in a supervisor and its workers alike, stands in the place of src/app.ts: a
// server that tells its process's id, and does what the file WORKER_APP says at the moment it starts.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { registerHooks } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { StartError } from '../../src/errors.ts';
import type { Worker } from '../../src/main/worker.ts';

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './app.ts' ? { url: import.meta.url, shortCircuit: true } : next(specifier, context),
});

export type Behaviour = 'serves' | 'refuses' | 'refuses, but the first' | 'dies' | 'starts on SIGUSR2' | 'never stops';

function refuse(): never {
  throw new StartError('CHAT_X is not for us\nCHAT_Y is not either');
}

const AT_START: Readonly<Partial<Record<Behaviour, (worker: Worker, log: Logger) => unknown>>> = {
  refuses: refuse,
  'refuses, but the first': ({ index }) => index === 1 || refuse(),
  dies: () => process.kill(process.pid, 'SIGKILL'),
  'starts on SIGUSR2': (_, log) => {
    // As a socket would, keeps the process alive.
    setInterval(() => {}, 60_000);
    log.info('starting');
    return once(process, 'SIGUSR2');
  },
};

const OWN_METRICS = '# HELP test_one One.\n# TYPE test_one gauge\ntest_one 1\n';

export async function startApp(config: { host: string; port: number }, log: Logger, worker: Worker | null) {
  const behaviour = readFileSync(process.env.WORKER_APP ?? '', 'utf8') as Behaviour;
  if (worker === null) throw new Error('not for a single process');
  const metrics = worker.shareMetrics({ text: async () => ({ type: 'text/plain', body: OWN_METRICS }) });
  await AT_START[behaviour]?.(worker, log);
  const server = createServer(async (request, response) => {
    response.setHeader('connection', 'close');
    response.end(request.url === '/metrics' ? (await metrics.text()).body : String(process.pid));
  });
  server.listen({ host: config.host, port: config.port, reusePort: true });
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.close();
      if (behaviour === 'never stops') await new Promise(() => {});
    },
  };
}
