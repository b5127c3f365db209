// Who uses the page, and all that comes with them: the chat, the API, names. Tabs of one browser share the login: they sign
// in and out together. Owns nothing that is drawn.
import { Api, follow, localKeep, type Profile, Refusal, Session } from '../../client/http.ts';
import { connect } from '../../client/index.ts';
import { browserOutbox } from '../../client/outbox-idb.ts';
import type { Chat } from '../../client/types.ts';
import { Cell } from './cell.ts';
import { dropDrafts } from './drafts.ts';
import { News } from './news.ts';
import { watchMembers } from './notes.ts';
import { People } from './people.ts';
import { watchRefusals } from './refusals.ts';
import { go } from './route.ts';

const KEY = 'chatterbox';

export interface Account {
  readonly me: Profile;
  readonly chat: Chat;
  readonly api: Api;
  readonly people: People;
  readonly news: News;
  close(): void;
}

/** Null: nobody is signed in. */
export const account = new Cell<Account | null>(null);
/** Why the last login ended, where it did so by itself. */
export const farewell = new Cell<string | null>(null);

const session = new Session({ url: location.origin, keep: localKeep(KEY) });

/** Failures that end a login; after others the chat tries again, or waits for somebody to ask. */
const ENDS_LOGIN = ['invalid_token', 'unauthenticated', '4500', '4503'];

function open(me: Profile): void {
  const chat = connect({ url: session.socketUrl, token: session.token, outbox: browserOutbox(`${KEY} ${me.id}`) });
  const api = new Api(session);
  const people = new People(api, me);
  const news = new News(chat);
  const ends = [
    follow(chat, api),
    watchRefusals(chat),
    watchMembers(chat),
    chat.on('message', ({ conversation }) => {
      // Of many the sender is shown who has read it, not who has got it.
      if (conversation.kind === 'direct') conversation.markReceived();
    }),
    () => people.close(),
    () => news.close(),
    () => chat.close(),
  ];
  chat.on('state', ({ state, reason = '' }) => {
    if (state !== 'closed' || !ENDS_LOGIN.includes(reason)) return;
    farewell.value = 'You were signed out. Sign in again to go on.';
    session.forget();
    leave();
  });
  const close = () => {
    for (const end of ends) end();
  };
  farewell.value = null;
  account.value = { me, chat, api, people, news, close };
}

function leave(): void {
  const left = account.value;
  account.value = null;
  left?.close();
  document.title = 'ChatterBox';
}

export async function signIn(login: string, password: string): Promise<void> {
  open(await session.signIn(login, password));
}

export async function register(fields: Parameters<Session['register']>[0]): Promise<void> {
  open(await session.register(fields));
}

export async function signOut(): Promise<void> {
  leave();
  dropDrafts();
  go('/', { replace: true });
  await session.signOut();
}

/** What another tab did with the login. */
function onStored({ key }: StorageEvent): void {
  if (key !== KEY && key !== null) return;
  const { user } = session;
  if (user?.id === account.value?.me.id) return;
  leave();
  // A token in memory is of who was signed in before.
  if (user === null) session.forget();
  else location.reload();
}

addEventListener('storage', onStored);

export function begin(): void {
  if (session.user !== null) open(session.user);
}

export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Refusal;
}
