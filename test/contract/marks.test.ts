import t from 'tap';
import { memoryMarks } from '../../src/adapters/memory/marks.ts';
import { marksContract } from './marks.ts';
import { freshStore as freshMongoStore } from './store-mongo.ts';
import { freshStore } from './store-sqlite.ts';

t.test('memory', async (t) => {
  marksContract(t, async () => ({ marks: memoryMarks() }));
});

t.test('sqlite', async (t) => {
  marksContract(t, async (t) => {
    const { marks, reopen } = await freshStore(t);
    return { marks, reopen: async () => (await reopen()).marks };
  });
});

t.test('mongo', async (t) => {
  marksContract(t, async (t) => {
    const { marks, reopen } = await freshMongoStore(t);
    return { marks, reopen: async () => (await reopen()).marks };
  });
});
