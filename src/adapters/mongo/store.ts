// The store in MongoDB: a replica set, and the ports that are read from it. Any number of processes may open it.
import type { SessionStore, UserStore } from '../../ports/accounts.ts';
import type { ConversationStore } from '../../ports/conversations.ts';
import type { LogRecord } from '../../ports/log-record.ts';
import type { MarkStore } from '../../ports/marks.ts';
import type { MessageStore } from '../../ports/store.ts';
import { mongoConversations } from './conversations.ts';
import { openDatabase } from './database.ts';
import { mongoLogRecord } from './log-record.ts';
import { mongoMarks } from './marks.ts';
import { mongoMessages } from './messages.ts';
import { PartWriters } from './part-writer.ts';
import { mongoSessions } from './sessions.ts';
import { Applier } from './store-apply.ts';
import { mongoUsers } from './users.ts';

export interface MongoStoreOptions {
  /** `mongodb://` or `mongodb+srv://`, with the name of the database. */
  readonly url: string;
}

export interface MongoStore {
  readonly messages: MessageStore;
  readonly conversations: ConversationStore;
  readonly marks: MarkStore;
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly logRecord: LogRecord;
  /** Ends what is being applied, then the connections; calls after it are `unavailable`. */
  close(): Promise<void>;
}

/** @throws StartError one line for the operator */
export async function openMongoStore({ url }: MongoStoreOptions): Promise<MongoStore> {
  const database = await openDatabase(url);
  const writers = new PartWriters(database);
  const applier = new Applier(database.collections, writers);
  return {
    messages: mongoMessages(database, applier),
    conversations: mongoConversations(database),
    marks: mongoMarks(database),
    users: mongoUsers(database),
    sessions: mongoSessions(database),
    logRecord: mongoLogRecord(database, writers),

    async close() {
      await writers.close();
      await database.close();
    },
  };
}
