// Which process a number stands for: numbers are given again, the moment of birth is not.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** @returns a text that only this process has had under this number, or undefined when it is gone */
export function birthOf(pid: number): string | undefined {
  try {
    return existsSync('/proc/self/stat') ? birthFromProc(pid) : birthFromPs(pid);
  } catch {
    return undefined;
  }
}

/** proc(5): state is field 3 and starttime field 22; the second field, the name, may itself hold blanks and brackets. */
function birthFromProc(pid: number): string | undefined {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const isZombie = fields[0] === 'Z' || fields[0] === 'X';
  return isZombie ? undefined : fields[19];
}

function birthFromPs(pid: number): string | undefined {
  const [state = '', ...birth] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/);
  return state.startsWith('Z') ? undefined : birth.join(' ');
}
