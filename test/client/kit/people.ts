// People with the client instead of the kit's own: signed in, connected, and let go of after the test.
import { Api, follow, Session } from '../../../src/client/http.ts';
import { connect } from '../../../src/client/index.ts';
import type { Chat, ConnectOptions, Conversation } from '../../../src/client/types.ts';
import { eventually, type Server } from '../../kit/index.ts';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

export interface Person {
  readonly session: Session;
  readonly api: Api;
  readonly chat: Chat;
  /** The conversation, once it is known. */
  in(conv: string): Promise<Conversation>;
  /** Texts of all messages told, in the order told. */
  readonly told: readonly string[];
}

const PASSWORD = 'correct horse battery';

/** Registers a name, signs in, connects. */
export async function person(
  t: Owner,
  s: Server,
  name: string,
  options: Partial<ConnectOptions> = {},
): Promise<Person> {
  await s.account(name);
  return device(t, s, name, options);
}

/** Another sign-in of somebody registered. The server's address is asked at each connection: it moves when it restarts. */
export async function device(
  t: Owner,
  s: Server,
  name: string,
  options: Partial<ConnectOptions> = {},
): Promise<Person> {
  const session = new Session({ url: s.url, fetch: (path, init) => fetch(moved(s, `${path}`), init) });
  await session.signIn(name, PASSWORD);
  const api = new Api(session);
  class MovingSocket extends WebSocket {
    constructor(_: string, protocol: string) {
      super(s.socketUrl, protocol);
    }
  }
  const chat = connect({ url: session.socketUrl, token: session.token, WebSocket: MovingSocket, ...options });
  t.teardown(() => chat.close());
  const told: string[] = [];
  chat.on('message', ({ message }) => told.push(message.text));
  follow(chat, api);
  await eventually(() => chat.state === 'online');
  return {
    session,
    api,
    chat,
    told,
    in: async (conv) => {
      await eventually(() => chat.conversations.has(conv));
      return chat.conversations.get(conv) as Conversation;
    },
  };
}

function moved(s: Server, path: string): string {
  const { pathname, search } = new URL(path);
  return `${s.url}${pathname}${search}`;
}
