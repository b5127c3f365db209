// The services from docker-compose.yml, where a Docker engine answers. A project of its own: the containers of
// `docker compose up` and their volumes are not touched.
import { basename, join } from 'node:path';
import { ROOT, stateFolder } from './cache.ts';
import { undoable } from './interrupt.ts';
import { mustRun, run } from './run.ts';

const PORTS = { redis: 6379, mongo: 27017, s3: 9000 } as const;
export type ComposeService = keyof typeof PORTS;

const FILES = ['-f', join(ROOT, 'docker-compose.yml'), '-f', join(ROOT, 'ops/service/compose.yml')];
/** The file demands them for services that are not started here. */
const UNUSED = { CHAT_SECRET: 'unused', CHAT_S3_KEY: 'chatterbox', CHAT_S3_SECRET: 'chatterbox-on-loopback' };

export const COMPOSE_S3_KEYS = { key: UNUSED.CHAT_S3_KEY, secret: UNUSED.CHAT_S3_SECRET };

export async function doesComposeAnswer(): Promise<boolean> {
  if ((await run('docker', ['compose', 'version'])).code !== 0) return false;
  return (await run('docker', ['info'])).code === 0;
}

/** @returns its port on the loopback */
export async function composeUp(service: ComposeService): Promise<number> {
  return undoable(
    () => composeRemove(service),
    async () => {
      await compose('end', 'up', '-d', '--wait', service);
      const address = await compose('end', 'port', service, String(PORTS[service]));
      return Number(address.trim().split(':').at(-1));
    },
  );
}

/** Its data stays, and `composeUp` brings it back with them, on another port. */
export async function composeStop(service: ComposeService): Promise<void> {
  await compose('finish', 'stop', service);
}

export async function composeRemove(service: ComposeService): Promise<void> {
  await compose('finish', 'rm', '--stop', '--force', '--volumes', service);
}

/** The project with its networks and volumes. */
export async function composeDown(): Promise<void> {
  await compose('finish', 'down', '-v', '--remove-orphans');
}

function compose(onInterrupt: 'end' | 'finish', ...words: readonly string[]): Promise<string> {
  return mustRun('docker', ['compose', '-p', basename(stateFolder()), ...FILES, ...words], {
    env: UNUSED,
    onInterrupt,
  });
}
