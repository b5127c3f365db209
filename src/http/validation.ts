// Checks the parts of a request against their schemas: the same checker as for frames. Bodies are taken as they are;
// in queries and paths whole numbers are read from their one plain spelling. Nothing is clamped, defaulted or left out.
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { ChatError } from '../errors.ts';

const WHOLE_NUMBER = /^(0|[1-9][0-9]{0,15})$/;

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const isText = httpPart === 'querystring' || httpPart === 'params';
  return (given: unknown) => {
    const value = isText ? withNumbers(schema, given) : given;
    return validator.Check(value) ? { value } : { error: shapeError(validator, value, httpPart) };
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

function shapeError(validator: Validator, value: unknown, httpPart: string | undefined): ChatError {
  const errors = validator.Errors(value);
  const first = errors.find(({ instancePath, keyword }) => instancePath !== '' || keyword === 'required');
  const missing = (first?.params as { requiredProperties?: string[] } | undefined)?.requiredProperties;
  const field = first?.instancePath.split('/')[1] ?? missing?.[0];
  if (field === undefined || field.length > 64) {
    return new ChatError('bad_frame', httpPart === 'body' ? { message: 'The body is one JSON object.' } : {});
  }
  return new ChatError('bad_frame', { field });
}
