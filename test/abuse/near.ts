// Requests near the right shape, from the schemas themselves: values that fit, and then a field left out, of another kind, at
// or beyond its limit, twice, or one that nobody has heard of. Written as text, since objects cannot hold all of it.
import * as fc from 'fast-check';
import { fitting, misfitting, type Shape } from '../protocol/schemas.ts';

/** Fields as they are written: a name may come twice. */
type Fields = readonly (readonly [name: string, json: string])[];
type Change = (fields: Fields) => Fields;
/** Values for fields by name, where what merely fits would never meet anything. */
export type Near = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** Schemas of routes use a little more than those of frames. */
interface AnyShape extends Shape {
  readonly enum?: readonly unknown[];
}

export function plain(shape: AnyShape): Shape {
  if (shape.enum !== undefined) return { anyOf: shape.enum.map((value) => ({ const: value })) };
  if (shape.type === 'null') return { const: null };
  return {
    ...shape,
    ...(shape.anyOf === undefined ? {} : { anyOf: shape.anyOf.map(plain) }),
    ...(shape.items === undefined ? {} : { items: plain(shape.items) }),
    ...(shape.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(shape.properties).map(([name, each]) => [name, plain(each)])),
        }),
  };
}

const UNHEARD_OF = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '$where',
  '$set',
  'a.b',
  '',
  ' ',
  'from',
  'role',
  'id',
  't',
  'seq',
  'n',
  '\0',
  '💬',
];
const STRANGE = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '1.5',
  '1e999',
  '9007199254740993',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '[]',
  '{}',
  '[[[]]]',
  '{"$ne":null}',
  '{"__proto__":{}}',
  `"${'x'.repeat(5_000)}"`,
  `${'['.repeat(500)}${']'.repeat(500)}`,
];

/** JSON of a value, lone surrogates and all. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}

function boundsOf({ type, minimum, maximum, minLength = 0, maxLength, maxItems }: Shape): readonly unknown[] {
  if (type === 'integer') return [(minimum ?? 0) - 1, minimum ?? 0, maximum ?? 0, (maximum ?? 0) + 1];
  if (type === 'string' && maxLength !== undefined)
    return [minLength - 1, minLength, maxLength, maxLength + 1].map((length) => 'é'.repeat(Math.max(0, length)));
  if (type === 'string') return ['', ...[1, 40, 41, 64, 65, 4_000, 4_001].map((length) => 'a'.repeat(length))];
  if (type === 'array') return [[], Array(maxItems ?? 100).fill('a'), Array((maxItems ?? 100) + 1).fill('a')];
  return [];
}

function changeOf(shape: Shape): fc.Arbitrary<Change> {
  const names = Object.keys(shape.properties ?? {});
  const name = names.length === 0 ? fc.constantFrom(...UNHEARD_OF) : fc.constantFrom(...names);
  const valueFor = (field: string) => {
    const own = shape.properties?.[field] ?? {};
    const odd = [
      ...(own.type === undefined && own.anyOf === undefined && own.const === undefined ? [] : misfitting(own)),
      ...boundsOf(own),
    ];
    return fc.oneof(fc.constantFrom(...odd.map(jsonOf), 'null'), fc.constantFrom(...STRANGE), fc.json());
  };
  const pair = name.chain((field) => valueFor(field).map((json) => [field, json] as const));
  return fc.oneof(
    name.map(
      (field): Change =>
        (fields) =>
          fields.filter(([each]) => each !== field),
    ),
    pair.map(
      ([field, json]): Change =>
        (fields) => [...fields.filter(([each]) => each !== field), [field, json]],
    ),
    pair.map(
      ([field, json]): Change =>
        (fields) => [...fields, [field, json]],
    ),
    fc.tuple(fc.constantFrom(...UNHEARD_OF), fc.constantFrom(...STRANGE)).map(
      ([field, json]): Change =>
        (fields) => [...fields, [field, json]],
    ),
  );
}

function fieldsNear(shape: Shape, near: Near): fc.Arbitrary<Fields> {
  const value = fitting(shape) as fc.Arbitrary<Readonly<Record<string, unknown>> | null>;
  const known = Object.keys(shape.properties ?? {}).filter((name) => name in near);
  const real = fc.record(Object.fromEntries(known.map((name) => [name, near[name] ?? fc.constant(null)])));
  const fit = fc.tuple(value, real).map(([given, instead]): Fields => {
    const all = given ?? {};
    return Object.entries(all).map(([name, each]) => [name, jsonOf(name in instead ? instead[name] : each)]);
  });
  return fc
    .tuple(fit, fc.oneof(fc.constant([]), fc.array(changeOf(shape), { minLength: 1, maxLength: 2 })))
    .map(([fields, changes]) => changes.reduce((all, change) => change(all), fields));
}

const written = (fields: Fields) => `{${fields.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

/** Near an object as JSON text; now and then near JSON. */
export function jsonNear(shape: AnyShape, near: Near = {}): fc.Arbitrary<string> {
  const whole = plain(shape);
  const [object] = [whole, ...(whole.anyOf ?? [])].filter(({ type }) => type === 'object');
  const text = fieldsNear(object ?? { type: 'object' }, near).map(written);
  const broken = fc.tuple(text, fc.nat(), fc.string({ maxLength: 3 })).map(([all, at, some]) => {
    const place = at % (all.length + 1);
    return all.slice(0, place) + some + all.slice(place + 1);
  });
  return fc.oneof(
    { arbitrary: text, weight: 12 },
    { arbitrary: broken, weight: 1 },
    { arbitrary: fc.json(), weight: 1 },
  );
}

/** Near a query: `?` left out. */
export function queryNear(shape: AnyShape, near: Near = {}): fc.Arbitrary<string> {
  return fieldsNear(plain(shape), near).map((fields) =>
    fields
      .map(([name, json]) => `${encodeURIComponent(name)}=${encodeURIComponent(json.replace(/^"(.*)"$/, '$1'))}`)
      .join('&'),
  );
}
