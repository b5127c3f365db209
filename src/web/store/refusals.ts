// Writes that the server refused for good. A message says so in its place, where its conversation is open; all others here.
import type { Chat, Sending } from '../../client/types.ts';
import { go, pathOf, route } from './route.ts';
import { say } from './toasts.ts';

const WHAT = {
  edit: 'Your change was not saved',
  delete: 'The message was not deleted',
  join: 'You did not get in',
  leave: 'You could not leave',
} as const;

/** @returns what ends it */
export function watchRefusals(chat: Chat): () => void {
  // The event comes again when it is given up.
  const told = new WeakSet<Sending>();
  return chat.on('sending', ({ sending }) => {
    if (sending.state !== 'refused' || told.has(sending)) return;
    told.add(sending);
    tell(chat, sending);
  });
}

function tell(chat: Chat, sending: Sending): void {
  const { request, conv, error } = sending;
  const why = error?.message ?? 'The server refused it.';
  if (request.t === 'message' && chat.conversations.has(conv)) {
    if (route.value.conv !== conv) say(`A message was not sent: ${why}`, { name: 'Show', act: () => go(pathOf(conv)) });
    return;
  }
  // Nothing shows it but these words.
  sending.discard();
  if (request.t === 'message') {
    const act = () => copy(request.text);
    say('A message was not sent: you are not in its conversation any more.', { name: 'Copy its text', act });
    return;
  }
  const { id: _id, ...write } = request;
  say(`${WHAT[request.t]}: ${why}`, { name: 'Try again', act: () => void chat.write(write) });
}

/** Over plain HTTP there is no `navigator.clipboard`; this is everywhere. */
function copy(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
