// A Lua script beside this folder's files that does no harm when it is repeated: a Redis that does not know it (it has
// restarted) is given it, and the question stands. The log's scripts are the opposite case and do not come this way.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisClient } from './connection.ts';

export class Script {
  readonly #source: string;
  /** redis.io/docs/latest/commands/evalsha: scripts are known by their SHA-1. */
  readonly #sha: string;

  constructor(name: string) {
    this.#source = readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
    this.#sha = hash('sha1', this.#source);
  }

  /** @throws what Redis or the driver says */
  async run(client: RedisClient, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.evalsha(this.#sha, keys.length, ...keys, ...values);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(this.#source, keys.length, ...keys, ...values);
    }
  }
}
