// What is wrong with the shape of a request, in the terms of the table of errors.
import type { Validator } from 'typebox/compile';
import { ChatError, type ErrorDetail } from '../errors.ts';

/** Longer ones are not a field's name, and are not repeated. */
const MAX_NAME = 64;

/**
 * Why a value that was refused is: `too_large` for a list over its limit, else `bad_frame`; with the field, where one can be named.
 * @param nameless what is told where none can
 */
export function shapeError(validator: Validator, value: unknown, nameless: ErrorDetail = {}): ChatError {
  const first = validator.Errors(value).find((error) => error.instancePath !== '' || error.keyword === 'required');
  if (first === undefined) return new ChatError('bad_frame', nameless);
  const { requiredProperties } = first.params as { requiredProperties?: string[] };
  const field = firstName(first.instancePath) ?? requiredProperties?.[0];
  if (field === undefined || field.length > MAX_NAME) return new ChatError('bad_frame', nameless);
  return new ChatError(first.keyword === 'maxItems' ? 'too_large' : 'bad_frame', { field });
}

/** The first name of a JSON Pointer (RFC 6901 section 4: `~1` is a slash, `~0` a tilde). */
function firstName(pointer: string): string | undefined {
  return pointer.split('/')[1]?.replaceAll('~1', '/').replaceAll('~0', '~');
}
