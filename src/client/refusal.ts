// What the server refuses, and what cannot be asked, as an error with the code of docs/protocol.md.
import type { ErrorCode } from '../errors.ts';

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  readonly retry?: boolean;
  readonly after?: number;
}

export class Refusal extends Error {
  override readonly name = 'Refusal';
  declare readonly code: ErrorCode;
  /** The field of the request that is at fault. */
  declare readonly field?: string;
  /** Worth repeating with the same key, after `after` ms where that is known. */
  declare readonly retry?: boolean;
  declare readonly after?: number;

  constructor(failure: Failure) {
    super(failure.message);
    Object.assign(this, failure);
  }
}
