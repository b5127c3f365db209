import t from 'tap';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { logRecordContract } from './log-record.ts';
import { freshStore as freshMongoStore, openStore as openMongoStore } from './store-mongo.ts';

t.test('memory', async (t) => {
  logRecordContract(t, async () => {
    const store = memoryStore();
    return { ...store, other: async () => store };
  });
});

t.test('mongo', async (t) => {
  logRecordContract(t, async (t) => {
    const { reopen, url, ...store } = await freshMongoStore(t);
    return {
      ...store,
      other: () => openMongoStore(t, url),
      reopen: async () => (await reopen()).logRecord,
    };
  });
});
