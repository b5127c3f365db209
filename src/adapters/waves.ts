// Reads gathered into waves: calls that come while one is under way go together as the next. A storm of reconnects costs a
// query for some dozen people, not some for each. Every answer is from a read that began after its call.

/** Asked for by one read, unless a single call names more. */
const MOST_KEYS = 250;
/**
 * Between the beginnings of two waves, where several have called at once. Who comes alone waits for nobody; in a storm, where
 * the driver's work for a query is what bounds the node, so many more share one.
 */
const GAP_MS = 20;

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
  const next = oneAtATime(
    async () => {
      const calls = nextOf(waiting);
      await answer(calls);
      return calls.length > 1 ? GAP_MS : 0;
    },
    () => waiting.length > 0,
  );

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
      waiting.push({ keys, resolve, reject });
      next();
    });
}

/** A read that is the same for all: who asks while it is under way shares the next one. */
export function shared<Answer>(read: () => Promise<Answer>): () => Promise<Answer> {
  let waiting: PromiseWithResolvers<Answer> | null = null;
  const next = oneAtATime(
    async () => {
      const { resolve, reject } = waiting as PromiseWithResolvers<Answer>;
      waiting = null;
      await read().then(resolve, reject);
      return 0;
    },
    () => waiting !== null,
  );

  return () => {
    waiting ??= Promise.withResolvers<Answer>();
    next();
    return waiting.promise;
  };
}

/**
 * @param work never rejects; says how long after its beginning the next may begin, in ms
 * @returns asks for it to be done: at the end of the turn, and after what is under way
 */
function oneAtATime(work: () => Promise<number>, isAsked: () => boolean): () => void {
  let isRunning = false;

  async function run(): Promise<void> {
    do {
      const beganMs = performance.now();
      const restMs = (await work()) - (performance.now() - beganMs);
      await pause(restMs);
    } while (isAsked());
    isRunning = false;
  }

  return () => {
    if (isRunning) return;
    isRunning = true;
    setImmediate(run);
  };
}

/** At least until the end of the turn: those of one turn go together. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void (ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)));
}

function nextOf<Key, Found>(waiting: Call<Key, Found>[]): Call<Key, Found>[] {
  let keys = 0;
  const end = waiting.findIndex((call) => {
    keys += call.keys.length;
    return keys > MOST_KEYS;
  });
  return waiting.splice(0, end === -1 ? waiting.length : Math.max(1, end));
}
