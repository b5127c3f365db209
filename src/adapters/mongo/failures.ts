// What a failure of MongoDB means to who asked: the database cannot do it now (`unavailable`; whether a write was done is
// unknown), or what it was given can never be stored (a plain error, or poison). What the driver attaches, whole documents
// with people's texts, is left behind: an error ends in a log.
import {
  MongoError,
  MongoInvalidArgumentError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { ChatError } from '../../errors.ts';
import { EpochError, HoleError, PoisonError } from '../../ports/store.ts';

const DUPLICATE_KEY = 11_000;
/** BadValue, FailedToParse, InvalidBSON, BSONObjectTooLarge (by the server, by its message size), and a unique index. */
const OF_THE_DATA: readonly unknown[] = [2, 9, 22, 10_334, 17_280, DUPLICATE_KEY];

export function isDuplicate(error: unknown): error is MongoServerError {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** Nobody answers, or nobody yet who may: a replica set that elects its primary. What the server refuses is none of it. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof MongoNetworkError || error instanceof MongoServerSelectionError;
}

/** Errors that are not MongoDB's stay as they are. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof MongoError)) return error;
  return isOfTheData(error)
    ? withoutDocuments(error)
    : new ChatError('unavailable', { cause: withoutDocuments(error) });
}

/** As `failureOf`, of a batch: whatever else comes of it comes of its changes. */
export function batchFailureOf(error: unknown): unknown {
  const failure = failureOf(error);
  const isKnown = [ChatError, HoleError, EpochError, PoisonError].some((kind) => failure instanceof kind);
  return isKnown ? failure : new PoisonError((failure as Error).message, { cause: failure });
}

function isOfTheData(error: MongoError): boolean {
  return error instanceof MongoInvalidArgumentError || OF_THE_DATA.includes(error.code);
}

function withoutDocuments(error: MongoError): Error {
  const code = error.code === undefined ? '' : ` ${error.code}`;
  return new Error(`${error.name}${code}: ${error.message}`);
}
