// The scripts beside this file. Each part has an append script of its own (its first line names the part), so that loading
// it opens that part and no other: the script cache is what tells a Redis that has kept running from one that has restarted.
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
export const TRIM = scriptOf(read('./log-trim.lua'));

export function appendScript(part: number): Script {
  return scriptOf(`-- part ${part}\n${APPEND}`);
}
