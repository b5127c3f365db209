// Whether somebody looks at the page (what is seen counts as read only then), and whether the machine has a network; and what
// follows: the mark in the tab's title, being told away after some minutes, and waking the connection.
import type { Chat } from '../../client/types.ts';
import { account } from './account.ts';
import { Cell } from './cell.ts';

const AWAY_MS = 300_000;

const look = () => document.visibilityState === 'visible' && document.hasFocus();

export const attentive = new Cell(look());

let awayTimer: ReturnType<typeof setTimeout> | undefined;
let isAway = false;

function onLook(): void {
  attentive.value = look();
  clearTimeout(awayTimer);
  const chat = account.value?.chat;
  if (document.visibilityState === 'hidden') {
    awayTimer = setTimeout(() => setAway(chat, true), AWAY_MS);
  } else {
    setAway(chat, false);
    chat?.wake();
  }
}

function setAway(chat: Chat | undefined, next: boolean): void {
  if (next === isAway) return;
  isAway = next;
  chat?.setPresence(next ? 'away' : 'online');
}

for (const type of ['focus', 'blur']) addEventListener(type, onLook);
document.addEventListener('visibilitychange', onLook);

/** False: the machine itself has no network. Sockets notice neither that nor its return for a long time. */
export const hasNetwork = new Cell(navigator.onLine);

for (const type of ['online', 'offline']) {
  addEventListener(type, () => {
    hasNetwork.value = navigator.onLine;
    account.value?.chat.wake();
  });
}

function onList(): void {
  const conversations = account.value?.chat.conversations.values() ?? [];
  let unread = 0;
  for (const conversation of conversations) if (conversation.unread > 0) unread++;
  document.title = unread === 0 ? 'ChatterBox' : `(${unread}) ChatterBox`;
}

let endList = () => {};
account.watch(() => {
  endList();
  endList = account.value?.news.list.watch(onList) ?? (() => {});
});
