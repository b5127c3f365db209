// The store in SQLite: one file, owned by one thread, and the ports that are read from it. Users and sessions live in
// the same file: their ports are made from `thread.call`.
import type { ConversationStore } from '../../ports/conversations.ts';
import type { MarkStore } from '../../ports/marks.ts';
import type { MessageStore } from '../../ports/store.ts';
import { sqliteConversations } from './conversations.ts';
import { crash } from './crash.ts';
import { sqliteMarks } from './marks.ts';
import { sqliteMessages } from './messages.ts';
import { startThread, type Thread } from './thread.ts';

export interface SqliteStoreOptions {
  /** store.db; made where there is none. Its folder exists. */
  readonly file: string;
  /** The thread has died; by default the process does too. */
  readonly onCrash?: (error: Error) => void;
}

export interface StoreThreadData {
  readonly file: string;
}

export interface SqliteStore {
  readonly messages: MessageStore;
  readonly conversations: ConversationStore;
  readonly marks: MarkStore;
  readonly thread: Thread;
  /** Answers every call made before, then closes the file. */
  close(): Promise<void>;
}

/** @throws StartError one line for the operator */
export async function openSqliteStore({ file, onCrash = crash }: SqliteStoreOptions): Promise<SqliteStore> {
  const data: StoreThreadData = { file };
  const thread = await startThread({
    module: new URL('./store-worker.ts', import.meta.url),
    name: 'store',
    data,
    onCrash,
  });
  return {
    messages: sqliteMessages(thread.call),
    conversations: sqliteConversations(thread.call),
    marks: sqliteMarks(thread.call),
    thread,
    close: () => thread.close(),
  };
}
