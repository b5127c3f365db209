// Ctrl-C in the middle: what is under way is undone, last first, before the process ends by the signal it got.
import { Failure } from './failure.ts';

type Undo = () => unknown;

const underWay = new Set<Undo>();
let isOver = false;

/** What fails from now on fails because it is undone. */
export function isInterrupted(): boolean {
  return isOver;
}

/**
 * @param undo called only when the process is interrupted before `work` has settled
 * @throws Failure after an interruption, whatever became of the work: nothing may go on to its next step
 */
export async function undoable<T>(undo: Undo, work: () => Promise<T>): Promise<T> {
  stopWhenInterrupted();
  underWay.add(undo);
  try {
    return await work();
  } finally {
    underWay.delete(undo);
    stopWhenInterrupted();
  }
}

function stopWhenInterrupted(): void {
  if (isOver) throw new Failure(1, 'interrupted');
}

/** For the program itself, once: whoever only borrows this code has signals of their own. */
export function undoOnInterrupt(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void undoAll(signal));
}

async function undoAll(signal: NodeJS.Signals): Promise<void> {
  isOver = true;
  for (const undo of [...underWay].reverse()) {
    try {
      await undo();
    } catch {
      // The others still want their turn.
    }
  }
  process.kill(process.pid, signal);
}
