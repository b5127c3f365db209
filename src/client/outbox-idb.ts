// An outbox in IndexedDB (https://w3c.github.io/IndexedDB/), shared by the tabs of a page: each keeps its own entries, and a
// tab that starts takes over those of tabs that are gone. Who is gone shows by a Web Lock nobody holds any more
// (https://w3c.github.io/web-locks/); where there are none (no HTTPS), entries of living tabs are taken over too, which
// sends some twice with one id: written once all the same.
import type { Entry, Outbox } from './types.ts';

interface Kept {
  readonly id: string;
  readonly tab: string;
  /** Order in its tab. */
  readonly number: number;
  readonly entry: Entry;
}

const STORE = 'entries';

/** @param name one per user, for example `chatterbox ${session.user.id}`; the database is called so */
export function browserOutbox(name: string): Outbox {
  return new BrowserOutbox(name);
}

class BrowserOutbox implements Outbox {
  readonly #name: string;
  readonly #tab = crypto.getRandomValues(new Uint32Array(4)).join('-');
  readonly #database: Promise<IDBDatabase>;
  /** Resolves when this chat is closed. */
  readonly #closed: Promise<void>;
  #close = () => {};
  #number = 0;

  constructor(name: string) {
    this.#name = name;
    this.#closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    this.#database = openDatabase(name);
    this.#database.catch(() => {});
  }

  async load(): Promise<readonly Entry[]> {
    await this.#holdLock();
    const all: Kept[] = await this.#do('readonly', (store) => store.getAll());
    const tabs = [...new Set(all.sort(byAge).map(({ tab }) => tab))];
    const entries: Entry[] = [];
    for (const tab of tabs) entries.push(...(await this.#takeOver(tab)));
    return entries;
  }

  async put(entry: Entry): Promise<void> {
    const kept: Kept = { id: entry.id, tab: this.#tab, number: this.#number++, entry };
    await this.#do('readwrite', (store) => store.put(kept));
  }

  async remove(id: string): Promise<void> {
    await this.#do('readwrite', (store) => store.delete(id));
  }

  close(): void {
    this.#close();
  }

  /** For as long as this tab lives, and its chat is not closed. */
  #holdLock(): Promise<void> {
    const { locks } = navigator;
    if (locks === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      void locks.request(this.#lockOf(this.#tab), () => {
        resolve();
        return this.#closed;
      });
    });
  }

  #lockOf(tab: string): string {
    return `${this.#name} ${tab}`;
  }

  /** @returns the entries of a tab that is gone, now this one's; none of one that lives */
  async #takeOver(tab: string): Promise<readonly Entry[]> {
    const { locks } = navigator;
    if (locks === undefined) return this.#makeOwn(tab);
    return locks.request(this.#lockOf(tab), { ifAvailable: true }, (lock) => (lock === null ? [] : this.#makeOwn(tab)));
  }

  async #makeOwn(tab: string): Promise<readonly Entry[]> {
    const all: Kept[] = await this.#do('readonly', (store) => store.getAll());
    const theirs = all.filter((kept) => kept.tab === tab).sort((one, other) => one.number - other.number);
    for (const { entry } of theirs) await this.put(entry);
    return theirs.map(({ entry }) => entry);
  }

  /** One request in a transaction of its own. @returns its result, once the transaction is on disk */
  async #do<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
    const transaction = (await this.#database).transaction(STORE, mode, { durability: 'strict' });
    const request = ask(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** An id begins with its time. */
function byAge(one: Kept, other: Kept): number {
  return one.id < other.id ? -1 : 1;
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
