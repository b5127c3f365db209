// Who is writing.
import type { Conversation } from '../../client/types.ts';
import { useAccount, usePerson } from './context.ts';

export function TypingLine({ conversation }: { readonly conversation: Conversation }) {
  const { me } = useAccount();
  const [one, other, ...more] = [...conversation.typing].filter((user) => user !== me.id);
  const first = usePerson(one ?? me.id)?.displayName ?? 'Somebody';
  const second = usePerson(other ?? me.id)?.displayName ?? 'somebody';
  const text =
    one === undefined
      ? ''
      : other === undefined
        ? `${first} is typing …`
        : more.length === 0
          ? `${first} and ${second} are typing …`
          : 'Several people are typing …';
  return (
    <p class="typing-line" aria-live="off">
      <bdi class="clip">{text}</bdi>
    </p>
  );
}
