// Checks the parts of a request against their schemas: the same checker as for frames. Bodies are taken as they are;
// in queries and paths whole numbers are read from their one plain spelling. Nothing is clamped, defaulted or left out.
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { shapeError } from '../protocol/shape.ts';

const WHOLE_NUMBER = /^(0|[1-9][0-9]{0,15})$/;

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const isText = httpPart === 'querystring' || httpPart === 'params';
  const nameless = httpPart === 'body' ? { message: 'The body is one JSON object.' } : {};
  return (given: unknown) => {
    const value = isText ? withNumbers(schema, given) : given;
    return validator.Check(value) ? { value } : { error: shapeError(validator, value, nameless) };
  };
};

function withNumbers(schema: TSchema, given: unknown): unknown {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  const entries = Object.entries(given as Record<string, unknown>).map(([name, value]) => {
    const isNumber = properties[name]?.type === 'integer' && typeof value === 'string' && WHOLE_NUMBER.test(value);
    return [name, isNumber ? Number(value) : value];
  });
  return Object.fromEntries(entries);
}
