// Pages of messages: what the tail has beyond the store laid over them, and what fits into one answer.
import type { ChangeBody, MessageChange } from '../protocol/changes.ts';
import { foldMessage, type MessageState, messageState, touchedBy } from '../protocol/states.ts';

/** Messages ascending by seq. */
export interface Page {
  readonly items: readonly MessageState[];
  readonly more: boolean;
}

export interface NewestPage extends Page {
  /** One message more would not fit into an answer: whoever asks for more gets no more. */
  readonly isFull: boolean;
}

/** A message as it was sent. One that the tail has erased is deleted by the deletion that follows, which gives it its rev. */
export function sentState({ deleted: _deleted, ...change }: MessageChange): MessageState {
  return messageState(change);
}

/** The messages that changes begin, as they were sent. */
export function sentIn(changes: readonly ChangeBody[]): MessageState[] {
  return changes.flatMap((change) => (change.t === 'message' ? [sentState(change)] : []));
}

export function foldAll(items: readonly MessageState[], changes: readonly ChangeBody[]): MessageState[] {
  const states = new Map(items.map((item) => [item.seq, item]));
  for (const change of changes) {
    for (const seq of touchedBy(change)) {
      const state = states.get(seq);
      if (state !== undefined) states.set(seq, foldMessage(state, change));
    }
  }
  return [...states.values()];
}

/** Of a page's items the first that fit; at least one. */
export function fitFromStart(
  items: readonly MessageState[],
  limit: number,
  maxBytes: number,
  sizeOf = jsonBytes,
): readonly MessageState[] {
  let bytes = 0;
  for (let index = 0; index < items.length && index < limit; index++) {
    bytes += sizeOf(items[index] as MessageState);
    if (bytes > maxBytes && index > 0) return items.slice(0, index);
  }
  return items.slice(0, limit);
}

/** As `fitFromStart`, the last. */
export function fitFromEnd(
  items: readonly MessageState[],
  limit: number,
  maxBytes: number,
  sizeOf = jsonBytes,
): readonly MessageState[] {
  return fitFromStart(items.toReversed(), limit, maxBytes, sizeOf).toReversed();
}

export function jsonBytes(state: MessageState): number {
  return Buffer.byteLength(JSON.stringify(state));
}
