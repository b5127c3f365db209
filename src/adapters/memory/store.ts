// The store in the process's memory, for tests and for trying things out: the same laws, nothing on disk.
import type { ConversationStore } from '../../ports/conversations.ts';
import type { LogRecord } from '../../ports/log-record.ts';
import type { MarkStore } from '../../ports/marks.ts';
import type { MessageStore } from '../../ports/store.ts';
import { memoryConversations } from './conversations.ts';
import { memoryLogRecord } from './log-record.ts';
import { memoryMarks } from './marks.ts';
import { memoryMessages } from './messages.ts';
import { Views } from './views.ts';

export interface MemoryStore {
  readonly messages: MessageStore;
  readonly conversations: ConversationStore;
  readonly marks: MarkStore;
  readonly logRecord: LogRecord;
}

export function memoryStore(): MemoryStore {
  const views = new Views();
  return {
    messages: memoryMessages(views),
    conversations: memoryConversations(views),
    marks: memoryMarks(),
    logRecord: memoryLogRecord(views),
  };
}
