import t from 'tap';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { storeContract } from './store.ts';
import { freshStore as freshMongoStore } from './store-mongo.ts';
import { freshStore } from './store-sqlite.ts';

t.test('memory', async (t) => {
  storeContract(t, async () => ({ messages: memoryStore().messages }));
});

t.test('sqlite', async (t) => {
  storeContract(t, async (t) => {
    const { messages, reopen } = await freshStore(t);
    return { messages, reopen: async () => (await reopen()).messages };
  });
});

t.test('mongo', async (t) => {
  storeContract(t, async (t) => {
    const { messages, reopen } = await freshMongoStore(t);
    return { messages, reopen: async () => (await reopen()).messages };
  });
});
