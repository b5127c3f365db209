// Begins a direct conversation, a group or a room.
import type { TargetedEvent } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { Profile } from '../../client/http.ts';
import { uuidv7 } from '../../client/ids.ts';
import type { ConvKind } from '../../client/types.ts';
import { go, pathOf } from '../store/route.ts';
import { useAccount } from './context.ts';
import { Dialog } from './dialog.tsx';
import { Field, Notice } from './field.tsx';
import { Chosen, PeoplePicker } from './people-picker.tsx';
import { names } from './words.ts';

const KINDS: readonly (readonly [ConvKind, string, string])[] = [
  ['direct', 'Direct', 'Between you and one other person.'],
  ['group', 'Group', 'For people you choose.'],
  ['room', 'Room', 'A place with a name, open to everyone or by invitation.'],
];
const MAX_TITLE = 200;
const MAX_TOPIC = 1_000;
const FORM = 'new-conversation';

/** What is to be. */
interface Plan {
  readonly kind: ConvKind;
  readonly people: readonly Profile[];
  readonly title: string;
  readonly topic: string;
  readonly isPublic: boolean;
}

const NOTHING: Plan = { kind: 'direct', people: [], title: '', topic: '', isPublic: true };

interface PlanProps {
  readonly plan: Plan;
  readonly onChange: (change: Partial<Plan>) => void;
}

export function NewConversation({ onClose }: { readonly onClose: () => void }) {
  const { me } = useAccount();
  const [plan, setPlan] = useState(NOTHING);
  const change = (fields: Partial<Plan>) => setPlan({ ...plan, ...fields });
  const { create, isBusy, fault } = useCreation(plan, onClose);
  const { kind, people } = plan;
  const canCreate = !isBusy && (kind === 'room' ? plan.title.trim() !== '' : people.length > 0);

  function submit(event: TargetedEvent<HTMLFormElement>): void {
    event.preventDefault();
    if (canCreate && kind !== 'direct') void create(people);
  }

  const foot = (
    <button type="submit" form={FORM} class="button primary" disabled={!canCreate}>
      {isBusy ? 'Creating …' : `Create ${kind}`}
    </button>
  );
  return (
    <Dialog title="New conversation" onClose={onClose} foot={kind === 'direct' ? undefined : foot}>
      <form id={FORM} class="content-form" onSubmit={submit}>
        <KindChoice plan={plan} onChange={change} />
        <Notice fault={fault} />
        {kind === 'room' && <RoomFields plan={plan} onChange={change} />}
        {kind === 'group' && <GroupFields plan={plan} onChange={change} />}
        {kind !== 'direct' && (
          <Chosen people={people} onRemove={(person) => change({ people: people.filter((one) => one !== person) })} />
        )}
        <PeoplePicker
          key={`${kind} ${people.length}`}
          label={kind === 'direct' ? 'To' : kind === 'room' && !plan.isPublic ? 'Invite people' : 'Add people'}
          verb={kind === 'direct' ? 'Open' : 'Add'}
          without={[me.id, ...people.map(({ id }) => id)]}
          onPick={(person) => (kind === 'direct' ? void create([person]) : change({ people: [...people, person] }))}
        />
      </form>
    </Dialog>
  );
}

/** Makes it and goes there. */
function useCreation(plan: Plan, onDone: () => void) {
  const { chat, api, me } = useAccount();
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  // Trying again makes the same conversation. (`crypto.randomUUID` is not there over plain HTTP.)
  const key = useMemo(() => uuidv7(Date.now(), Math.random), [plan]);

  async function create(people: readonly Profile[]): Promise<void> {
    setBusy(true);
    setFault(undefined);
    try {
      const members = people.map(({ id }) => id);
      const view = await api.create({ kind: plan.kind, members, ...fieldsOf(plan, [me, ...people]) }, key);
      chat.learn([view]);
      onDone();
      go(pathOf(view.conv));
    } catch (error) {
      setFault((error as Error).message);
      setBusy(false);
    }
  }
  return { create, isBusy, fault };
}

function fieldsOf({ kind, title, topic, isPublic }: Plan, people: readonly Profile[]) {
  if (kind === 'direct') return {};
  if (kind === 'group') {
    const called = names(people.map(({ displayName }) => displayName));
    return { title: title.trim() || called.slice(0, MAX_TITLE) };
  }
  return { title: title.trim(), public: isPublic, ...(topic.trim() === '' ? {} : { topic: topic.trim() }) };
}

function KindChoice({ plan, onChange }: PlanProps) {
  return (
    <>
      <fieldset class="choice" aria-label="Kind">
        {KINDS.map(([kind, label]) => (
          <label key={kind}>
            <input
              class="radio"
              type="radio"
              name="kind"
              checked={plan.kind === kind}
              onChange={() => onChange({ kind })}
            />
            {label}
          </label>
        ))}
      </fieldset>
      <p class="soft">{KINDS.find(([kind]) => kind === plan.kind)?.[2]}</p>
    </>
  );
}

function GroupFields({ plan, onChange }: PlanProps) {
  return (
    <Field
      label="Title (optional)"
      value={plan.title}
      onInput={(title) => onChange({ title })}
      maxLength={MAX_TITLE}
      autocomplete="off"
      hint="Without one it is called after its people."
    />
  );
}

function RoomFields({ plan, onChange }: PlanProps) {
  const { title, topic, isPublic } = plan;
  return (
    <>
      <Field
        label="Title"
        value={title}
        onInput={(text) => onChange({ title: text })}
        maxLength={MAX_TITLE}
        autocomplete="off"
      />
      <Field
        label="What it is about (optional)"
        value={topic}
        onInput={(text) => onChange({ topic: text })}
        maxLength={MAX_TOPIC}
        autocomplete="off"
      />
      <label class="check">
        <input
          type="checkbox"
          checked={isPublic}
          onChange={({ currentTarget }) => onChange({ isPublic: currentTarget.checked })}
        />
        <span>
          Public
          <small>{isPublic ? 'Anyone here can find and join it.' : 'Only those you invite can see and join it.'}</small>
        </span>
      </label>
    </>
  );
}
