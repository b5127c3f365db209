// Who or what it is, at a glance: the first letters of a name on a colour of its own.
import { Icon, type IconName } from './icon.tsx';

const HUES = 8;

/** The same for a given id, on every device. */
function hueOf(id: string): number {
  let hash = 0;
  for (let at = 0; at < id.length; at++) hash = (hash * 31 + id.charCodeAt(at)) >>> 0;
  return hash % HUES;
}

const graphemes = new Intl.Segmenter();

/** The first letter of the first word and of the last. */
export function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  const letters = ends.map(
    (word = '') =>
      graphemes
        .segment(word.replace(/^[^\p{L}\p{N}]+/u, ''))
        [Symbol.iterator]()
        .next().value?.segment ?? '',
  );
  return letters.join('').toUpperCase() || '?';
}

interface AvatarProps {
  readonly id: string;
  readonly name: string;
  readonly icon?: IconName | undefined;
  readonly size?: 'small' | 'large';
  readonly status?: string | undefined;
}

export function Avatar({ id, name, icon, size, status }: AvatarProps) {
  return (
    <span
      class={`avatar hue-${hueOf(id)} ${size ?? ''}`}
      aria-hidden="true"
      data-letters={icon === undefined ? initialsOf(name) : ''}
    >
      {icon !== undefined && <Icon name={icon} />}
      {status !== undefined && status !== 'offline' && <i class={`dot ${status}`} />}
    </span>
  );
}
