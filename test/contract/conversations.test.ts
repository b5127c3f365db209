import t from 'tap';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { conversationsContract } from './conversations.ts';
import { freshStore as freshMongoStore } from './store-mongo.ts';
import { freshStore } from './store-sqlite.ts';

t.test('memory', async (t) => {
  conversationsContract(t, async () => memoryStore());
});

t.test('sqlite', async (t) => {
  conversationsContract(t, freshStore);
});

t.test('mongo', async (t) => {
  conversationsContract(t, freshMongoStore);
});
