// What its owners and moderators can change of a conversation, and how one gets out of it.
import { useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { go } from '../store/route.ts';
import { say } from '../store/toasts.ts';
import { useAccount, useTitle } from './context.ts';
import { Confirm } from './dialog.tsx';
import { Field } from './field.tsx';
import { Icon } from './icon.tsx';

/** Title and topic, for those who may change them. */
export function Names({ conversation }: { readonly conversation: Conversation }) {
  const { api, chat } = useAccount();
  const [isOpen, setOpen] = useState(false);
  const [title, setTitle] = useState('');
  const [topic, setTopic] = useState('');
  if (!isOpen) {
    const begin = () => {
      setTitle(conversation.title ?? '');
      setTopic(conversation.topic ?? '');
      setOpen(true);
    };
    return (
      <button type="button" class="button" onClick={begin}>
        <Icon name="edit" />
        Title and topic
      </button>
    );
  }
  const save = () => {
    setOpen(false);
    api.change(conversation.conv, { title: title.trim(), topic: topic.trim() }).then(
      (view) => chat.learn([view]),
      (error: Error) => say(error.message),
    );
  };
  return (
    <form
      class="content-form"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <Field label="Title" value={title} onInput={setTitle} maxLength={200} autocomplete="off" />
      <Field label="Topic" value={topic} onInput={setTopic} maxLength={1_000} autocomplete="off" />
      <div class="buttons">
        <button type="submit" class="button small primary">
          Save
        </button>
        <button type="button" class="button small" onClick={() => setOpen(false)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

export function Leaving({ conversation }: { readonly conversation: Conversation }) {
  const { api } = useAccount();
  const title = useTitle(conversation);
  const [asked, setAsked] = useState<'leave' | 'remove' | null>(null);
  const { conv, role, kind } = conversation;
  const leave = () => {
    // Where it is refused, `watchRefusals` says so.
    conversation.leave().done.then(
      () => go('/', { replace: true }),
      () => {},
    );
  };
  const remove = () => {
    api.remove(conv).then(
      () => go('/', { replace: true }),
      (error: Error) => say(error.message),
    );
  };
  return (
    <div class="buttons column">
      <button type="button" class="button plain" onClick={() => setAsked('leave')}>
        <Icon name="leave" />
        Leave
      </button>
      {role === 'owner' && (
        <button type="button" class="button plain grave" onClick={() => setAsked('remove')}>
          <Icon name="trash" />
          Delete for everyone
        </button>
      )}
      {asked === 'leave' && (
        <Confirm
          title={`Leave ${title}?`}
          text="You get no more of its messages, and cannot read them."
          yes="Leave"
          onYes={leave}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === 'remove' && (
        <Confirm
          title={`Delete ${title}?`}
          text={`The ${kind ?? 'conversation'} and all its messages are gone for everyone.`}
          yes="Delete"
          onYes={remove}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}
