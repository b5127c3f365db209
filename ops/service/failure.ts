// What `ops/services` cannot do, as the one line its user reads and the exit code they get.

/** 1: it was tried and failed. 2: wrong use, or something is missing that only the user can provide. */
export type FailureCode = 1 | 2;

export class Failure extends Error {
  readonly exitCode: FailureCode;

  /** @param message one line that says what to do */
  constructor(exitCode: FailureCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/** Takes one line of progress on long work. */
export type Say = (line: string) => void;
