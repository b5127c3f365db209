// What counts as text: stored exactly as sent, measured in Unicode code points, never normalised or trimmed.
import { ChatError } from '../errors.ts';
import { MAX_TEXT } from './limits.ts';

/** Number of Unicode code points. */
export function codePoints(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0xd800 && unit <= 0xdbff) at++;
    count++;
  }
  return count;
}

/** Refuses lone surrogates and U+0000 (`bad_frame`) and more than `max` code points (`too_large`). */
export function checkText(text: string, field = 'text', max: number = MAX_TEXT): void {
  if (!text.isWellFormed() || text.includes('\0')) throw new ChatError('bad_frame', { field });
  if (text.length > max && codePoints(text) > max) throw new ChatError('too_large', { field });
}

/** As checkText, and refuses the empty text unless something else (files) stands beside it. */
export function checkMessageText(text: string, mayBeEmpty: boolean): void {
  if (text === '' && !mayBeEmpty) throw new ChatError('bad_frame', { field: 'text' });
  checkText(text);
}
