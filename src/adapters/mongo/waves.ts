// Reads gathered into waves: calls that come while others are under way go together as one query. A storm of reconnects
// costs a query for some hundred people, not some for each. Every answer is from a query that began after its call.

/** Asked for by one query, unless a single call names more. */
const MOST_KEYS = 250;
/** Queries under way at once. */
const AT_ONCE = 2;

interface Call<Key, Found> {
  readonly keys: readonly Key[];
  resolve(found: readonly Found[]): void;
  reject(error: unknown): void;
}

/**
 * @param read finds all there is for some keys, in one query
 * @param keyOf the key that something found belongs to
 * @returns the same for few keys at a time
 */
export function inWaves<Key, Found>(
  read: (keys: readonly Key[]) => Promise<readonly Found[]>,
  keyOf: (found: Found) => Key,
): (keys: readonly Key[]) => Promise<readonly Found[]> {
  const waiting: Call<Key, Found>[] = [];
  let underWay = 0;

  function begin(): void {
    if (underWay === AT_ONCE || waiting.length === 0) return;
    underWay++;
    void answer(nextOf(waiting)).finally(() => {
      underWay--;
      begin();
    });
    begin();
  }

  async function answer(calls: readonly Call<Key, Found>[]): Promise<void> {
    try {
      const keys = new Set(calls.flatMap((call) => call.keys));
      const found = Map.groupBy(await read([...keys]), keyOf);
      for (const { keys, resolve } of calls) resolve([...new Set(keys)].flatMap((key) => found.get(key) ?? []));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }

  return (keys) =>
    new Promise((resolve, reject) => {
      // Those of one turn go together.
      if (waiting.length === 0) setImmediate(begin);
      waiting.push({ keys, resolve, reject });
    });
}

/** As `inWaves`, of a read that is the same for all. */
export function shared<Answer>(read: () => Promise<Answer>): () => Promise<Answer> {
  const ask = inWaves(
    async () => [await read()],
    () => null,
  );
  return async () => (await ask([null]))[0] as Answer;
}

function nextOf<Key, Found>(waiting: Call<Key, Found>[]): Call<Key, Found>[] {
  let keys = 0;
  const end = waiting.findIndex((call) => {
    keys += call.keys.length;
    return keys > MOST_KEYS;
  });
  return waiting.splice(0, end === -1 ? waiting.length : Math.max(1, end));
}
