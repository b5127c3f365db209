// The thread that owns store.db: every noun's operations over one connection, one transaction a batch.
import { workerData } from 'node:worker_threads';
import { conversationOperations } from './conversations.ts';
import { markOperations } from './marks.ts';
import { messageOperations } from './messages.ts';
import { openStoreFile } from './schema.ts';
import { SESSIONS_SCHEMA, sessionOperations } from './sessions.ts';
import type { StoreThreadData } from './store.ts';
import { serveThread } from './thread-worker.ts';
import { USERS_SCHEMA, userOperations } from './users.ts';

serveThread(() => {
  const { file } = workerData as StoreThreadData;
  const db = openStoreFile(file, [USERS_SCHEMA, SESSIONS_SCHEMA]);
  const operations = {
    ...messageOperations(db),
    ...conversationOperations(db),
    ...markOperations(db),
    ...userOperations(db),
    ...sessionOperations(db),
  };
  return { db, operations };
});
