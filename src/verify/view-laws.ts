// The views are what the changes add up to: row by row against a store that was made from the changes alone. Tells which
// fields differ, and the row as it has to be.
import { isDeepStrictEqual } from 'node:util';
import type {
  ChangeRow,
  ConvRow,
  MemberRow,
  Mend,
  Numbers,
  Rows,
  StoreRows,
  TouchedRow,
  ViewRows,
} from '../ports/audit.ts';
import { movesGuard } from '../protocol/changes.ts';
import type { ConvId } from '../protocol/ids.ts';
import { type Order, orderBy, side } from './merge.ts';
import type { Law, Place } from './report.ts';
import { bodyOf, isErased } from './wires.ts';

export interface Difference {
  readonly law: Law;
  readonly place: Place;
  readonly text: string;
  /** Undefined: it is in the changes themselves. */
  readonly mend?: Mend;
}

type Tell = (difference: Difference) => void;

const BY_CONV = orderBy<ConvRow>('conv');
const BY_SEQ = orderBy<{ conv: ConvId; seq: number }>('conv', 'seq');
const BY_USER = orderBy<MemberRow>('conv', 'user');

interface Hearer {
  /** Whether the changes of a conversation could be folded; of others nothing is told. */
  isFit(conv: ConvId): boolean;
  readonly tell: Tell;
  /** Between two pages. */
  pause(): Promise<void>;
}

export async function compareViews(right: ViewRows, found: StoreRows, hearer: Hearer): Promise<void> {
  const tell = (difference: Difference) => {
    const { conv } = difference.place;
    if (conv === undefined || hearer.isFit(conv)) hearer.tell(difference);
  };
  const numbers = new NumbersAfter();
  function compare<Row>(
    [one, other]: readonly [Rows<Row>, Rows<Row>],
    order: Order<Row>,
    call: (right: Row | undefined, found: Row | undefined) => void,
  ): Promise<void> {
    return side(one, other, order, call, () => hearer.pause());
  }
  await compare<ChangeRow>([right.changes(), found.changes()], BY_SEQ, (one, other) => {
    if (other !== undefined) compareChange(one, other, numbers.of(other), tell);
  });
  await compare<ConvRow>([right.convs(), found.convs()], BY_CONV, (one, other) => compareConv(one, other, tell));
  await compare<MemberRow>([right.members(), found.members()], BY_USER, (one, other) =>
    compareMember(one, other, tell),
  );
  await compare<TouchedRow>([right.touched(), found.touched()], BY_SEQ, (one, other) =>
    compareTouched(one, other, tell),
  );
}

/** What the changes leave a conversation's numbers as, one after the other. */
class NumbersAfter {
  #conv: ConvId | undefined;
  #n = 0;
  #guard = 0;

  of({ conv, seq, n, type }: ChangeRow): Numbers {
    if (conv !== this.#conv) [this.#conv, this.#n, this.#guard] = [conv, 0, 0];
    if (type === 'message') this.#n = n;
    if (movesGuard(type)) this.#guard = seq;
    return { n: this.#n, guard: this.#guard };
  }
}

function compareChange(right: ChangeRow | undefined, found: ChangeRow, numbers: Numbers, tell: Tell): void {
  if (right === undefined) return;
  const { conv, seq, type } = found;
  const place = { conv, seq };
  if (right.wire !== found.wire) tell({ law: 'erased', place, text: wireFault(found) });
  const { of, isOwnState } = right;
  const after = found.after === null ? null : numbers;
  const names = fieldsThatDiffer({ of, isOwnState, after }, found);
  if (names.length === 0) return;
  const text = `what is kept beside it for the views differs in ${names.join(', ')}`;
  tell({ law: 'view', place, text, mend: { is: 'change', row: { conv, seq, type, of, isOwnState, after } } });
}

function wireFault(found: ChangeRow): string {
  const body = bodyOf(found.wire);
  return body !== null && isErased(body)
    ? 'its content is gone, and nobody has deleted its message'
    : 'its content is there, and its message has been deleted';
}

function compareConv(right: ConvRow | undefined, found: ConvRow | undefined, tell: Tell): void {
  const conv = (right ?? found)?.conv as ConvId;
  const text = rowFault('the conversation', right, found, [
    'head',
    'members',
    'kind',
    'name',
    'listed',
    'deleted',
    'rev',
    'state',
  ]);
  if (text !== undefined) tell({ law: 'view', place: { conv }, text, mend: { is: 'conv', conv, row: right ?? null } });
}

function compareMember(right: MemberRow | undefined, found: MemberRow | undefined, tell: Tell): void {
  const { conv, user } = (right ?? found) as MemberRow;
  const text = rowFault('the membership', right, found, ['role', 'rev', 'active']);
  const mend = { is: 'member', conv, user, row: right ?? null } as const;
  if (text !== undefined) tell({ law: 'view', place: { conv, user }, text, mend });
}

function compareTouched(right: TouchedRow | undefined, found: TouchedRow | undefined, tell: Tell): void {
  const { conv, seq } = (right ?? found) as TouchedRow;
  const text = rowFault('the state of its message', right, found, ['rev', 'state']);
  const mend = { is: 'touched', conv, seq, row: right ?? null } as const;
  if (text !== undefined) tell({ law: 'view', place: { conv, seq }, text, mend });
}

function rowFault<Row extends object>(
  what: string,
  right: Row | undefined,
  found: Row | undefined,
  names: readonly (keyof Row & string)[],
): string | undefined {
  if (found === undefined) return `${what} is missing in the view`;
  if (right === undefined) return `${what} is in the view, and no change made it`;
  const told = names.filter((name) => !(name === 'head' && found[name] === null));
  const differ = fieldsThatDiffer(Object.fromEntries(told.map((name) => [name, right[name]])), found);
  return differ.length === 0 ? undefined : `${what} differs in ${differ.join(', ')}`;
}

/** Of a state, the names of its own fields. */
function fieldsThatDiffer(right: object, found: object): string[] {
  const others = found as Readonly<Record<string, unknown>>;
  return Object.entries(right).flatMap(([name, value]) => {
    if (value === others[name]) return [];
    if (name !== 'state') return isDeepStrictEqual(value, others[name]) ? [] : [name];
    const [one, other] = [stateOf(value), stateOf(others[name])];
    const names = [...new Set([...Object.keys(one), ...Object.keys(other)])];
    return names.filter((field) => !isDeepStrictEqual(one[field], other[field])).map((field) => `state.${field}`);
  });
}

/** What is none has no field that any state has. */
function stateOf(json: unknown): Readonly<Record<string, unknown>> {
  try {
    const state: unknown = JSON.parse(String(json));
    return typeof state === 'object' && state !== null ? (state as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
