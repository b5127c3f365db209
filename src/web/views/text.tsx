// The text of a message: links can be followed, names stand out, and nothing in it is ever markup.
import type { ComponentChildren } from 'preact';

const PIECES = /(https?:\/\/[^\s<>"'`]+)|(?<![\w.-])@([A-Za-z0-9_.-]{2,32})/g;
/** At the end of an address these belong to the sentence. */
const TRAILING = /[.,:;!?)\]}]+$/;
const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200d|\ufe0f|\s)+$/u;
const MAX_LARGE = 16;

export function isEmojiOnly(text: string): boolean {
  return text.length <= MAX_LARGE && EMOJI_ONLY.test(text);
}

/** @param isMentioned whether a name in it is that of somebody who was meant */
export function Text({
  text,
  isMentioned,
}: {
  readonly text: string;
  readonly isMentioned: (name: string) => boolean;
}) {
  const pieces: ComponentChildren[] = [];
  let done = 0;
  for (const { index, 0: piece, 1: url, 2: name } of text.matchAll(PIECES)) {
    const shown = url === undefined ? piece : withoutTrailing(url);
    if (name !== undefined && !isMentioned(name)) continue;
    if (index > done) pieces.push(text.slice(done, index));
    pieces.push(url === undefined ? <bdi class="mention">{shown}</bdi> : <Link url={shown} />);
    done = index + shown.length;
  }
  if (done < text.length) pieces.push(text.slice(done));
  return <>{pieces}</>;
}

function withoutTrailing(url: string): string {
  const bare = url.replace(TRAILING, '');
  const rest = url.slice(bare.length);
  // A bracket that was opened in the address is closed in it.
  return rest.startsWith(')') && bare.includes('(') ? `${bare})` : bare;
}

function Link({ url }: { readonly url: string }) {
  return (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow">
      {url}
    </a>
  );
}
