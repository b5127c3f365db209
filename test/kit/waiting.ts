// Waiting for what a test expects: on events, or by asking again; always with a generous end that says what was seen.
import { watch } from 'node:fs';

/** Only a run that hangs gets there. */
export const WAIT_MS = 30_000;
const ASK_EVERY_MS = 20;

/** The promise's value. @throws with `seen()` when it takes unreasonably long */
export async function soon<Value>(promise: Promise<Value>, seen: () => string, withinMs = WAIT_MS): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited ${withinMs} ms; ${seen()}`)), withinMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the check neither throws nor answers false; its last failure is thrown. */
export async function eventually<Value>(check: () => Value | Promise<Value>, everyMs = ASK_EVERY_MS): Promise<Value> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    try {
      const value = await check();
      if (value !== false) return value;
      if (performance.now() > endMs) throw new Error('it stayed false');
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** When a file of a folder is next written to; it may not be there yet. */
export function nextWrite(folder: string, name: string): { readonly written: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watch(folder, (_what, changed) => {
    if (changed === name) resolve();
  });
  return { written: promise, stop: () => watcher.close() };
}
