// A MongoDB store in a database of its own for a test.
import type { Test } from 'tap';
import { type MongoStore, openMongoStore } from '../../src/adapters/mongo/store.ts';
import { mongoDatabase } from '../kit/services.ts';

/** Opens a database; whatever becomes of the test, it is closed. */
export async function openStore(t: Test, url: string): Promise<MongoStore> {
  const store = await openMongoStore({ url });
  t.teardown(() => store.close());
  return store;
}

/** A store in a fresh database, and a way to close it and open its database again. */
export async function freshStore(t: Test) {
  const { url } = await mongoDatabase(t);
  const store = await openStore(t, url);
  let current = store;
  const reopen = async () => {
    await current.close();
    current = await openStore(t, url);
    return current;
  };
  return { ...store, url, reopen };
}
