// One cluster at a time for each user and checkout: two would write the same files and stop each other's services.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Failure } from '../service/failure.ts';
import { birthOf } from '../service/identity.ts';

/** @returns gives it back @throws Failure while another process has it; what a dead one left is taken over */
export function claim(file: string): () => void {
  const holder = readHolder(file);
  if (holder !== undefined && birthOf(holder.pid) === holder.birth) {
    throw new Failure(2, `a cluster of this checkout runs already, as process ${holder.pid}; stop that one first`);
  }
  writeFileSync(file, `${process.pid} ${birthOf(process.pid)}`, { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

function readHolder(file: string): { readonly pid: number; readonly birth: string } | undefined {
  try {
    const [pid, birth = ''] = readFileSync(file, 'utf8').split(/ (.*)/s);
    return { pid: Number(pid), birth };
  } catch {
    return undefined;
  }
}
