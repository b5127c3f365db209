// Programs that run to their end. Output goes into the failure when they fail, nowhere otherwise.
import { spawn } from 'node:child_process';
import { Failure } from './failure.ts';
import { undoable } from './interrupt.ts';

export interface Ran {
  /** null when a signal ended it. */
  readonly code: number | null;
  /** Standard output and standard error, in the order they came. */
  readonly output: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What Ctrl-C means to it. What undoes something finishes. */
  readonly onInterrupt?: 'end' | 'finish';
}

/** Resolves with code 127 when there is no such program, as a shell says it. */
export async function run(program: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(program, words, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<Ran>((resolve) => {
    child.once('error', (error) => resolve({ code: 127, output: error.message }));
    child.once('close', (code) => resolve({ code, output }));
  });
  const end = () => {
    child.kill();
    return ended;
  };
  return options.onInterrupt === 'finish' ? ended : undoable(end, () => ended);
}

/** @returns its output @throws Failure with the last line of it when the code is not 0 */
export async function mustRun(program: string, words: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, output } = await run(program, words, options);
  if (code === 0) return output;
  const lastLine = output.trim().split('\n').at(-1) ?? '';
  throw new Failure(1, `"${program} ${words.join(' ')}" failed (code ${code}): ${lastLine}`);
}
