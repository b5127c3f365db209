// redis-server as the log wants it: every write on disk before its answer, nothing evicted.
import { ask } from './launch.ts';

export interface RedisOptions {
  readonly dir: string;
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  /** After those of ours, so that they win. */
  readonly args?: readonly string[];
}

export function redisWords(port: number, options: RedisOptions): readonly string[] {
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: options.dir,
    appendonly: 'yes',
    appendfsync: options.appendfsync ?? 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
    'lazyfree-lazy-expire': 'yes',
  };
  return [...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]), ...(options.args ?? [])];
}

/** It accepts connections before it has read its files, and says LOADING meanwhile. */
export async function isRedisReady(port: number, pid: number): Promise<boolean> {
  const pong = await ask(port, 'PING\r\n');
  return pong.startsWith('+PONG') && (await ask(port, 'INFO server\r\n')).includes(`process_id:${pid}\r\n`);
}

export const redisUrl = (port: number) => `redis://127.0.0.1:${port}`;
