// A single write with an order of its own: what an HTTP request does.
import type { Receipt } from '../ports/log.ts';
import type { Key, UserId } from '../protocol/ids.ts';
import { Lane } from './lane.ts';
import type { Path } from './path.ts';
import type { Submission, Write } from './submission.ts';

/** What became of a write: the numbers of its change, or null where it had no effect. */
export type Written = (Receipt & { readonly dup: boolean }) | null;

/** Sends one write down the path, token bucket included. @throws ChatError */
export function submitWrite(path: Path, user: UserId, key: Key | null, write: Write): Promise<Written> {
  return new Promise((resolve, refuse) => {
    const submission: Submission = { user, lane: new Lane(), order: 0, key, write, answer: resolve, refuse };
    path.accept({ user, cost: 1, submission, admit: () => {}, refuse });
  });
}
