// From bytes to checked frames and back. Decoding refuses everything that is not exactly one known frame;
// encoding makes whole server-side WebSocket frames (RFC 6455 section 5.2, unmasked), so that a broadcast is
// built once and written as it is to every socket. Hot code: bench/micro/codec.ts.
import { Compile, type Validator } from 'typebox/compile';
import { ChatError } from '../errors.ts';
import { CLIENT_FRAMES, type ClientFrame, type RequestOf } from './requests.ts';
import { shapeError } from './shape.ts';
import { checkMessageText, checkText } from './text.ts';

const validators = new Map<string, Validator>(
  Object.entries(CLIENT_FRAMES).map(([name, schema]) => [name, Compile(schema)]),
);

/** A frame that was refused, with the id its answer repeats where one could be read. */
export interface Refused {
  readonly refused: ChatError;
  readonly id: string | undefined;
  /** Its type, where it has a known one. */
  readonly t: string | undefined;
}

/**
 * Decodes one text message.
 * @returns the checked frame, or why it was refused: `bad_json`, `unknown_type`, `bad_frame` (with `field`), `too_large`.
 */
export function decode(data: string): ClientFrame | Refused {
  let frame: unknown;
  try {
    frame = JSON.parse(data);
  } catch {
    return { refused: new ChatError('bad_json'), id: undefined, t: undefined };
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
    return {
      refused: new ChatError('bad_frame', { message: 'A frame is one JSON object.' }),
      id: undefined,
      t: undefined,
    };
  }
  const { t, id } = frame as { t?: unknown; id?: unknown };
  const answerTo = typeof id === 'string' && id.length <= 64 ? id : undefined;
  if (typeof t !== 'string') return { refused: new ChatError('bad_frame', { field: 't' }), id: answerTo, t: undefined };
  const validator = validators.get(t);
  if (validator === undefined)
    return { refused: new ChatError('unknown_type', { field: 't' }), id: answerTo, t: undefined };
  if (!validator.Check(frame)) return { refused: shapeError(validator, frame), id: answerTo, t };
  const checked = frame as ClientFrame;
  try {
    checkMeaning(checked);
  } catch (error) {
    return { refused: error as ChatError, id: answerTo, t };
  }
  return checked;
}

/** What a schema cannot say. */
function checkMeaning(frame: ClientFrame): void {
  switch (frame.t) {
    case 'message':
      checkMessageText(frame.text, frame.files !== undefined && frame.files.length > 0);
      checkDistinct(frame.files ?? [], 'files');
      break;
    case 'edit':
      checkMessageText(frame.text, false);
      break;
    case 'react':
      checkText(frame.emoji, 'emoji');
      break;
    case 'hello':
      if (frame.device !== undefined) checkText(frame.device, 'device');
      break;
    case 'history':
      checkOneAnchor(frame);
      break;
  }
}

/** Not by `uniqueItems`: the validator compares items before it has seen what they are, as deep as they go. */
function checkDistinct(ids: readonly string[], field: string): void {
  if (new Set(ids).size < ids.length) throw new ChatError('bad_frame', { field });
}

function checkOneAnchor(frame: RequestOf<'history'>): void {
  const anchors = [frame.before, frame.after, frame.around].filter((anchor) => anchor !== undefined);
  if (anchors.length > 1) throw new ChatError('bad_frame', { message: 'Give one of before, after and around.' });
}

const OP_TEXT = 0x81;

function headerBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(frame: Buffer, at: number, length: number): number {
  frame[at] = OP_TEXT;
  if (length < 126) {
    frame[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    frame[at + 1] = 126;
    frame.writeUInt16BE(length, at + 2);
    return at + 4;
  }
  frame[at + 1] = 127;
  frame.writeUInt32BE(0, at + 2);
  frame.writeUInt32BE(length, at + 6);
  return at + 10;
}

/** One text as one WebSocket text frame. */
export function encodeFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(headerBytes(length) + length);
  frame.write(text, writeHeader(frame, 0, length));
  return frame;
}

/** Several texts as consecutive WebSocket text frames in one buffer, for one write. */
export function encodeFrames(texts: readonly string[]): Buffer {
  if (texts.length === 1) return encodeFrame(texts[0] as string);
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const total = lengths.reduce((sum, length) => sum + headerBytes(length) + length, 0);
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (let index = 0; index < texts.length; index++) {
    const length = lengths[index] as number;
    at = writeHeader(frames, at, length);
    frames.write(texts[index] as string, at);
    at += length;
  }
  return frames;
}
