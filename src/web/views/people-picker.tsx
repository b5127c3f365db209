// Finding people by the beginning of their name. Asks when one pauses, not at each key.
import { useEffect, useState } from 'preact/hooks';
import type { Profile } from '../../client/http.ts';
import { Avatar } from './avatar.tsx';
import { useAccount, usePresence } from './context.ts';
import { Field, Loading } from './field.tsx';
import { Icon } from './icon.tsx';

const PAUSE_MS = 200;

export interface Found<Result> {
  /** What was found last; undefined before the first answer. */
  readonly result: Result | undefined;
  /** It is the answer to what is asked now. */
  readonly isSettled: boolean;
  readonly isFailed: boolean;
}

export function useSearch<Result>(
  query: string,
  ask: (query: string) => Promise<Result>,
  empty: Result,
): Found<Result> {
  const [found, setFound] = useState<{ readonly query: string; readonly result: Result | Error } | null>(null);
  useEffect(() => {
    let isOver = false;
    const settle = (result: Result | Error) => !isOver && setFound({ query, result });
    const timer = setTimeout(() => ask(query).then(settle, settle), query === '' ? 0 : PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [query]);
  if (found === null) return { result: undefined, isSettled: false, isFailed: false };
  const isFailed = found.result instanceof Error;
  return { result: isFailed ? empty : (found.result as Result), isSettled: found.query === query, isFailed };
}

export function usePeople(query: string): Found<readonly Profile[]> {
  const { api, me, people } = useAccount();
  return useSearch<readonly Profile[]>(
    query,
    async (q) => {
      if (q === '') return [];
      const { items } = await api.users(q, { limit: 20 });
      people.learn(items);
      return items.filter(({ id }) => id !== me.id);
    },
    [],
  );
}

interface PickerProps {
  /** What choosing somebody does, in one word. */
  readonly verb: string;
  readonly without: readonly string[];
  readonly onPick: (person: Profile) => void;
  readonly label?: string;
}

export function PeoplePicker({ verb, without, onPick, label = 'Find people' }: PickerProps) {
  const [query, setQuery] = useState('');
  const name = query.trim().replace(/^@/, '');
  const { result, isSettled, isFailed } = usePeople(name);
  const shown = result?.filter(({ id }) => !without.includes(id));
  return (
    <>
      <Field label={label} placeholder="Name or username" autocomplete="off" value={query} onInput={setQuery} />
      {name !== '' && shown === undefined && <Loading what="people" />}
      {name !== '' && isSettled && shown?.length === 0 && (
        <p class="soft" role="status">
          {isFailed ? 'People cannot be looked up right now.' : `Nobody else is called “${name}”.`}
        </p>
      )}
      {shown !== undefined && shown.length > 0 && (
        <ul class="results">
          {shown.map((person) => (
            <li key={person.id}>
              <button type="button" class="result" onClick={() => onPick(person)}>
                <Person person={person} />
                <span class="soft">{verb}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

export function Person({ person }: { readonly person: Profile }) {
  const status = usePresence(person.id);
  return (
    <>
      <Avatar id={person.id} name={person.displayName} status={status} />
      <span class="clip">
        <bdi>{person.displayName}</bdi>
        <small class="clip">@{person.name}</small>
      </span>
    </>
  );
}

interface ChosenProps {
  readonly people: readonly Profile[];
  readonly onRemove: (person: Profile) => void;
}

export function Chosen({ people, onRemove }: ChosenProps) {
  if (people.length === 0) return null;
  return (
    <div class="chips">
      {people.map((person) => (
        <button
          key={person.id}
          type="button"
          aria-label={`Remove ${person.displayName}`}
          onClick={() => onRemove(person)}
        >
          <bdi class="clip">{person.displayName}</bdi>
          <Icon name="close" />
        </button>
      ))}
    </div>
  );
}
