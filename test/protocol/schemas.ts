// A second reading of the frame schemas, independent of the validator the decoder uses: what fits one, values that do, and
// values that do not.
import * as fc from 'fast-check';

/** The part of JSON Schema that src/protocol/requests.ts uses. */
export interface Shape {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly Shape[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Shape;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fits(shape: Shape, value: unknown): boolean {
  if (shape.anyOf !== undefined) return shape.anyOf.some((each) => fits(each, value));
  if (shape.const !== undefined) return value === shape.const;
  switch (shape.type) {
    case 'string':
      return typeof value === 'string' && fitsText(shape, value);
    case 'integer':
      return Number.isInteger(value) && fitsRange(shape, value as number);
    case 'boolean':
      return typeof value === 'boolean';
    case 'array':
      return Array.isArray(value) && fitsList(shape, value);
    case 'object':
      return isFields(value) && misfits(shape, value).length === 0;
    default:
      throw new Error(`a schema of a new kind: ${JSON.stringify(shape)}`);
  }
}

/** The fields at fault: missing, unknown, or of the wrong shape. */
export function misfits(shape: Shape, value: Fields): readonly string[] {
  const { properties = {}, patternProperties = {}, required = [] } = shape;
  const missing = required.filter((name) => !Object.hasOwn(value, name));
  const wrong = Object.entries(value).filter(([name, field]) => {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const byPattern = Object.entries(patternProperties).find(([pattern]) => new RegExp(pattern).test(name))?.[1];
    const expected = own ?? byPattern;
    return expected === undefined ? shape.additionalProperties === false : !fits(expected, field);
  });
  return [...missing, ...wrong.map(([name]) => name)];
}

function fitsText({ pattern, minLength = 0, maxLength = Infinity }: Shape, value: string): boolean {
  const length = [...value].length;
  return length >= minLength && length <= maxLength && (pattern === undefined || new RegExp(pattern).test(value));
}

function fitsRange({ minimum = -Infinity, maximum = Infinity }: Shape, value: number): boolean {
  return value >= minimum && value <= maximum;
}

function fitsList({ items, maxItems = Infinity }: Shape, value: readonly unknown[]): boolean {
  return value.length <= maxItems && (items === undefined || value.every((item) => fits(items, item)));
}

/** Values that fit. */
export function fitting(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.anyOf !== undefined) return fc.oneof(...shape.anyOf.map(fitting));
  if (shape.const !== undefined) return fc.constant(shape.const);
  switch (shape.type) {
    case 'string':
      return fittingText(shape);
    case 'integer':
      return fc.integer({ min: shape.minimum ?? 0, max: shape.maximum ?? Number.MAX_SAFE_INTEGER });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(fitting(shape.items ?? {}), { maxLength: shape.maxItems ?? 10 });
    default:
      return fittingFields(shape);
  }
}

function fittingText({ pattern, minLength = 0, maxLength = 60 }: Shape): fc.Arbitrary<string> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ unit: 'binary', minLength, maxLength: Math.min(maxLength, 60) });
}

function fittingFields({ properties = {}, patternProperties = {}, required = [] }: Shape): fc.Arbitrary<unknown> {
  const [pattern] = Object.entries(patternProperties);
  if (pattern !== undefined) return fc.dictionary(fc.stringMatching(new RegExp(pattern[0])), fitting(pattern[1]));
  const fields = Object.fromEntries(Object.entries(properties).map(([name, shape]) => [name, fitting(shape)]));
  return fc.record(fields, { requiredKeys: [...required] });
}

/** Of every kind of JSON, with the numbers that are no integers of ours and the names that are none. */
const STRANGE: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  Number.MIN_VALUE,
  '',
  'x',
  '1',
  'a b',
  '__proto__',
  'é'.repeat(41),
  'a'.repeat(5_000),
  [],
  [1],
  ['t'],
  [[]],
  {},
  { $gt: '' },
  { length: 1 },
];

/** Values of every kind that do not fit. */
export function misfitting(shape: Shape): readonly unknown[] {
  return STRANGE.filter((value) => !fits(shape, value));
}
