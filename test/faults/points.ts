// System calls of a running process that go wrong: strace takes hold of it, and lets go of it again. Of one thread in the
// moment it makes a certain call, so that kill -9 comes at a named point of its work; or of all for a while.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { eventually } from '../kit/waiting.ts';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

/** The server's threads have the names of the files they own. */
function threadOf(pid: number, name: string): string {
  const tasks = `/proc/${pid}/task`;
  const thread = readdirSync(tasks).find((id) => readFileSync(join(tasks, id, 'comm'), 'utf8').trim() === name);
  if (thread === undefined) throw new Error(`${pid} has no thread ${name}`);
  return thread;
}

/**
 * kill -9 of the whole process, in the moment one of its threads makes one of these calls, and before the kernel has done it.
 * Resolves when it is dead. @throws what strace says where it cannot
 */
export async function killAt(t: Owner, pid: number, thread: string, calls: string): Promise<void> {
  const strace = attach(t, threadOf(pid, thread), `${calls}:signal=SIGKILL:when=1`, []);
  await endOf(strace);
}

/** From now on some calls of all its threads go wrong. @returns how to end that */
export async function disturb(t: Owner, pid: number, fault: string): Promise<() => Promise<void>> {
  const strace = attach(t, String(pid), fault, ['-f']);
  await isTraced(pid);
  return async () => {
    strace.kill('SIGINT');
    await endOf(strace);
  };
}

type Strace = ChildProcessByStdio<null, null, Readable>;

function attach(t: Owner, id: string, fault: string, more: readonly string[]): Strace {
  const calls = fault.split(':')[0] ?? '';
  const words = ['-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${fault}`, ...more, '-p', id];
  const strace = spawn('strace', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => strace.kill('SIGKILL'));
  return strace;
}

async function endOf(strace: Strace): Promise<void> {
  let said = '';
  strace.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await new Promise<void>((resolve, reject) => {
    strace.once('error', reject);
    strace.once('close', () => (said === '' ? resolve() : reject(new Error(said))));
  });
}

function isTraced(pid: number): Promise<unknown> {
  return eventually(() => !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
}
