// The scripts beside this file. Each part has an append script of its own for each life of the server (its first line names
// both), so that loading it opens that part and no other: the script cache is what tells a Redis that has kept running from
// one that has restarted, or that was another's replica meanwhile and has kept its scripts.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Script {
  readonly text: string;
  /** As EVALSHA wants it (redis.io/docs/latest/commands/evalsha). */
  readonly sha: string;
}

function scriptOf(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

function read(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

const APPEND = read('./log-append.lua');

export const BEGIN = scriptOf(read('./log-begin.lua'));
export const MEND = scriptOf(read('./log-mend.lua'));
export const TRIM = scriptOf(read('./log-trim.lua'));
/** Lets go of a lock that is still its own: KEYS lock, ARGV token. */
export const UNLOCK = scriptOf("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end");

export function appendScript(part: number, runId: string): Script {
  return scriptOf(`-- part ${part}, run ${runId}\n${APPEND}`);
}
