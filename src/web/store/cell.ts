// A value that views watch. All state of the page is in cells; there is nothing else to it.
import { useEffect, useState } from 'preact/hooks';

export interface Readable<Value> {
  readonly value: Value;
  /** @returns what ends it */
  watch(listener: () => void): () => void;
}

export class Cell<Value> implements Readable<Value> {
  #value: Value;
  readonly #listeners = new Set<() => void>();

  constructor(value: Value) {
    this.#value = value;
  }

  get value(): Value {
    return this.#value;
  }

  set value(next: Value) {
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    for (const listener of [...this.#listeners]) listener();
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** The value now; the view is drawn again when it changes. */
export function useCell<Value>(cell: Readable<Value>): Value {
  const [, setSeen] = useState<unknown>(cell.value);
  useEffect(() => {
    const look = () => setSeen(() => cell.value);
    // It may have changed between the drawing and now.
    look();
    return cell.watch(look);
  }, [cell]);
  return cell.value;
}

/** Whether the cell holds this; drawn again only when that changes. */
export function useIs<Value>(cell: Readable<Value>, expected: Value): boolean {
  const [is, setIs] = useState(cell.value === expected);
  useEffect(() => {
    const look = () => setIs(cell.value === expected);
    look();
    return cell.watch(look);
  }, [cell, expected]);
  return is;
}
