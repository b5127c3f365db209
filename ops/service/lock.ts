// A lock between processes: a file that names its holder. One left by a process that is gone is taken over.
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Say } from './failure.ts';
import { birthOf } from './identity.ts';
import { undoable } from './interrupt.ts';

const POLL_MS = 50;

export async function withLock<T>(path: string, say: Say, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const mine = `${process.pid} ${birthOf(process.pid)}`;
  let hasSaid = false;
  while (!tryCreate(path, mine)) {
    const holder = readHolder(path);
    // Read and removed in one turn: between the two another could take it over, in some microseconds.
    if (holder !== undefined && birthOf(holder.pid) !== holder.birth) rmSync(path, { force: true });
    if (holder !== undefined && !hasSaid) say(`waiting for process ${holder.pid}, which holds ${path}`);
    hasSaid ||= holder !== undefined;
    await delay(POLL_MS);
  }
  const release = () => rmSync(path, { force: true });
  try {
    return await undoable(release, work);
  } finally {
    release();
  }
}

/** It appears with its content: a holder killed between the two would never be known for dead. */
function tryCreate(path: string, holder: string): boolean {
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, holder, { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft);
  }
}

/** undefined when it has just been released. */
function readHolder(path: string): { pid: number; birth: string } | undefined {
  try {
    const [pid, birth] = readFileSync(path, 'utf8').split(/ (.*)/s);
    return birth === undefined || pid === undefined ? undefined : { pid: Number(pid), birth };
  } catch {
    return undefined;
  }
}
