// Signals on the wire: all of one turn in one JSON message, numbered by its publisher. What is malformed, or new to this
// version, is left out: nodes of several versions share the channels.
import Type, { type TProperties } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import type { NodeId, Signal } from '../../ports/signals.ts';

/** Beyond it a message is sent and the next begun; one signal may be longer. */
const MAX_MESSAGE_CHARS = 262_144;

const text = Type.String();
const count = Type.Integer({ minimum: 0 });
const status = Type.Union(['online', 'away', 'busy', 'offline'].map((word) => Type.Literal(word)));

const SHAPES: Readonly<Record<Signal['is'], Validator>> = {
  typing: shape({ conv: text, user: text, on: Type.Boolean() }),
  presence: shape({ user: text, status, seen: count, convs: Type.Array(text) }),
  alive: shape({ users: count, digest: Type.Integer() }),
  who: shape({ node: Type.Union([text, Type.Null()]) }),
  everyone: shape({ part: count, parts: count, users: Type.Array(Type.Tuple([text, status, count])) }),
  left: shape({}),
  mark: shape({
    conv: text,
    user: text,
    read: count,
    received: count,
    by: Type.Union([text, Type.Null()]),
    back: Type.Optional(Type.Boolean()),
  }),
  ended: shape({ sessions: Type.Array(text) }),
};

function shape(fields: TProperties): Validator {
  return Compile(Type.Object(fields)) as unknown as Validator;
}

const envelope = Compile(
  Type.Object({
    from: Type.String({ minLength: 1 }),
    n: Type.Integer({ minimum: 1 }),
    signals: Type.Array(Type.Object({ is: text })),
  }),
);

export interface Message {
  readonly from: NodeId;
  /** 1, 2, 3, ... of its publisher. */
  readonly n: number;
  readonly signals: readonly Signal[];
}

/** @returns null: not a message at all */
export function decodeMessage(json: string): Message | null {
  const given = parse(json);
  if (!envelope.Check(given)) return null;
  const known = given.signals.filter(({ is }) => Object.hasOwn(SHAPES, is));
  const signals = known.filter((signal) => SHAPES[signal.is as Signal['is']].Check(signal));
  return { from: given.from, n: given.n, signals: signals as unknown as Signal[] };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** @param next the number of the message, asked once for each */
export function encodeMessages(from: NodeId, signals: readonly Signal[], next: () => number): readonly string[] {
  const messages: string[] = [];
  let parts: string[] = [];
  let chars = 0;
  const end = () => {
    if (parts.length > 0) messages.push(`{"from":${JSON.stringify(from)},"n":${next()},"signals":[${parts.join()}]}`);
    parts = [];
    chars = 0;
  };
  for (const signal of signals) {
    const part = JSON.stringify(signal);
    if (chars + part.length > MAX_MESSAGE_CHARS) end();
    parts.push(part);
    chars += part.length;
  }
  end();
  return messages;
}
