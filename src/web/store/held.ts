// Conversations that were looked at keep their newest messages for a while: going back shows them at once, offline too.
import type { Conversation } from '../../client/types.ts';

const MAX_CONVERSATIONS = 8;
const KEPT = 100;

let recent: readonly Conversation[] = [];

/** @returns what to call when it is left */
export function keepHeld(conversation: Conversation): () => void {
  recent = [conversation, ...recent.filter((one) => one !== conversation)];
  for (const old of recent.slice(MAX_CONVERSATIONS)) old.close();
  recent = recent.slice(0, MAX_CONVERSATIONS);
  return () => {
    const { messages, hasNewer } = conversation;
    const [first, last] = [messages.at(-KEPT), messages.at(-1)];
    if (hasNewer) conversation.close();
    else if (first !== undefined && last !== undefined) conversation.trim(first.seq, last.seq);
  };
}
