// What may become of a change's wire text in the store: erased with its message, or set aside without content because the
// store could not take it. Everything else is byte for byte what the log gave.
import type { ChangeRow } from '../ports/audit.ts';
import type { Change } from '../ports/log.ts';
import { type ChangeBody, erasedWire, type MessageChange, parseChange, withoutContent } from '../protocol/changes.ts';

/** Null where it is no JSON object. */
export function bodyOf(wire: string): ChangeBody | null {
  try {
    const body: unknown = parseChange(wire);
    return typeof body === 'object' && body !== null ? (body as ChangeBody) : null;
  } catch {
    return null;
  }
}

/** One that stands in the place of a change that could not be stored: its fields and their order are its own. */
export function isSetAside(wire: string): boolean {
  return wire.endsWith('"deleted":true}') && withoutContent(wire) === wire;
}

export function isErased(body: ChangeBody): boolean {
  return (body.t === 'message' || body.t === 'edit') && body.deleted === true;
}

/**
 * As it has to be folded: what has been erased was not deleted yet when it came. The text is gone, and so it is from every
 * state once the deletion is folded too.
 */
export function foldable(row: ChangeRow, body: ChangeBody): string {
  if (!isErased(body) || isSetAside(row.wire)) return row.wire;
  const { deleted: _deleted, ...rest } = body as MessageChange;
  return JSON.stringify(rest);
}

/** The fields by which a stored change is another one than the log's; empty: it is the same. */
export function differences(change: Change, row: ChangeRow): string[] {
  const names = (['n', 'type', 'from', 'at'] as const).filter((name) => change[name] !== row[name]);
  if (change.wire === row.wire) return change.key === row.key ? names : [...names, 'key'];
  if (row.key === null && row.wire === withoutContent(change.wire)) return names;
  if (change.key !== row.key) return [...names, 'key'];
  const canErase = change.type === 'message' || change.type === 'edit';
  return canErase && row.wire === erasedWire(change.wire) ? names : [...names, 'content'];
}
