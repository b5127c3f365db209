// What happened among the people of a conversation: who came, who left, who may what now. Only what was told as it happened,
// or caught up with change by change; states pulled after a long time say nothing of how they came to be, and nothing is made
// up. Kept for as long as the page is.
import type { ChangeBody, Chat, Conversation } from '../../client/types.ts';

type MemberChange = Extract<ChangeBody, { t: 'member' }>;

export type Note = Pick<MemberChange, 'seq' | 'at' | 'from' | 'user' | 'what' | 'role'>;

const MAX_KEPT = 100;
const NONE: readonly Note[] = [];
const kept = new WeakMap<Conversation, readonly Note[]>();

/** @returns what ends it */
export function watchMembers(chat: Chat): () => void {
  const ends = [
    chat.on('member', ({ conversation, change }) => {
      if (change?.t !== 'member') return;
      kept.set(conversation, [...(kept.get(conversation) ?? NONE), change].slice(-MAX_KEPT));
    }),
    chat.on('reset', ({ conversation }) => kept.delete(conversation)),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Those that stand between the messages held, ascending by `seq`. */
export function notesOf(conversation: Conversation): readonly Note[] {
  const { messages, hasOlder, hasNewer } = conversation;
  const [first, last] = [messages[0]?.seq ?? Number.POSITIVE_INFINITY, messages.at(-1)?.seq ?? 0];
  return (kept.get(conversation) ?? NONE).filter(({ seq }) => (!hasOlder || seq > first) && (!hasNewer || seq < last));
}
