// What the death of a thread that owns a file means: the process cannot go on with what it holds in memory.

/** Outside any promise's chain, where nothing catches it. */
export function crash(error: Error): void {
  setImmediate(() => {
    throw error;
  });
}
