// What the store's two threads say to each other: lists of calls one way, lists of answers the other, in the same order.
// Errors cross by name, since a structured clone forgets the class of an error and its fields.
import { ChatError, type ErrorCode, StartError } from '../../errors.ts';
import { HoleError } from '../../ports/store.ts';
import type { ConvId } from '../../protocol/ids.ts';

/** An operation's name and its arguments. */
export type CallMessage = readonly [op: string, args: readonly unknown[]];

/** Sent instead of calls: answer what came before, close the file, end. */
export const CLOSE = null;

export type AnswerMessage = { readonly value: unknown } | { readonly failure: Failure };

export type Failure =
  | { readonly name: 'HoleError'; readonly conv: ConvId; readonly expected: number; readonly found: number }
  | { readonly name: 'StartError'; readonly message: string }
  | {
      readonly name: 'ChatError';
      readonly code: ErrorCode;
      readonly field: string | undefined;
      readonly afterMs: number | undefined;
      readonly message: string;
      readonly cause: string;
    }
  | { readonly name: 'Error'; readonly message: string; readonly stack: string | undefined };

/** Primary result codes (sqlite.org/rescode.html) that say nothing about the call, only that storage cannot do it now. */
const BUSY = 5;
const NO_MEMORY = 7;
const READ_ONLY = 8;
const IO_ERROR = 10;
const FULL = 13;
const CANNOT_OPEN = 14;
const CANNOT_NOW: readonly number[] = [BUSY, NO_MEMORY, READ_ONLY, IO_ERROR, FULL, CANNOT_OPEN];

/** The low byte of an extended result code; 0 for what is no error of SQLite. */
export function resultCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof HoleError) {
    const { conv, expected, found } = error;
    return { name: 'HoleError', conv, expected, found };
  }
  if (error instanceof StartError) return { name: 'StartError', message: error.message };
  if (error instanceof ChatError) return chatFailure(error);
  if (CANNOT_NOW.includes(resultCode(error))) return chatFailure(new ChatError('unavailable', { cause: error }));
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { name: 'Error', message, stack };
}

function chatFailure({ code, field, afterMs, message, cause }: ChatError): Failure {
  return { name: 'ChatError', code, field, afterMs, message, cause: cause instanceof Error ? cause.message : '' };
}

export function errorOf(failure: Failure): Error {
  switch (failure.name) {
    case 'HoleError':
      return new HoleError(failure.conv, failure.expected, failure.found);
    case 'StartError':
      return new StartError(failure.message);
    case 'ChatError': {
      const { code, field, afterMs, message, cause } = failure;
      const optional = { ...(field === undefined ? {} : { field }), ...(afterMs === undefined ? {} : { afterMs }) };
      return new ChatError(code, { message, ...optional, ...(cause === '' ? {} : { cause: new Error(cause) }) });
    }
    case 'Error':
      return Object.assign(new Error(failure.message), { stack: failure.stack });
  }
}
