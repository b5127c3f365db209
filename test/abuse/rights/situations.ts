// What somebody can be to a conversation, and how one comes to be that: every situation is set up by requests, afresh for
// each question, since the answer to the one before may have changed it.
import { randomBytes } from 'node:crypto';
import type { Account, Server } from '../../kit/index.ts';
import { newId } from '../kit.ts';

export const SITUATIONS = [
  'owner',
  'moderator',
  'member',
  'side of a direct',
  'invited to a private room',
  'outsider',
  'left',
  'kicked',
  'passer-by of a public room',
  'left a public room',
  'kicked from a public room',
  'owner of what is closed',
  'nothing of the kind',
  'stranger',
  'session ended',
] as const;

export type Situation = (typeof SITUATIONS)[number];

/** What a conversation is where the situation does not say. */
export type Kind = 'group' | 'private room';

export interface Setting {
  readonly kind: Kind;
  /** Whose message is asked about. */
  readonly whose: 'own' | "another's";
}

/** A conversation that somebody is something to. */
export interface Stage {
  readonly conv: string;
  /** Of the message that is asked about. */
  readonly seq: number;
  /** A member as long as nobody removes them. */
  readonly bob: Account;
  /** Somebody there is, who is not in it. */
  readonly zoe: Account;
  readonly subject: Account;
  /** Its owner, where it has one. */
  readonly creator: Account;
  /** For the `authorization` of a request; null: none. */
  readonly token: string | null;
  /** Whether bob can look at it. */
  readonly isThere: boolean;
}

/** Who plays in all of them. */
export interface Cast {
  readonly server: Server;
  readonly ann: Account;
  readonly bob: Account;
  readonly zoe: Account;
  readonly sam: Account;
  /** Of sam, in a session that has ended. */
  readonly endedToken: string;
}

export async function castOf(server: Server): Promise<Cast> {
  const accounts = ['anna', 'bob', 'zoe', 'sam'].map((name) => server.account(name));
  const [ann, bob, zoe, sam] = (await Promise.all(accounts)) as [Account, Account, Account, Account];
  return { server, ann, bob, zoe, sam, endedToken: await endedTokenOf(server, sam) };
}

/** @returns the access token of another session of theirs, which has ended */
async function endedTokenOf(server: Server, { name }: Account): Promise<string> {
  const fields = { login: name, password: 'correct horse battery' };
  const token = String((await server.http('POST', 'auth/login', fields)).body.access);
  const { status } = await server.http('POST', 'auth/logout', undefined, { token });
  if (status !== 204) throw new Error(`logout: ${status}`);
  return token;
}

/** An id as the server gives them, of nothing. */
export function idOfNothing(): string {
  return randomBytes(15).toString('base64url');
}

export async function stageOf(cast: Cast, situation: Situation, setting: Setting): Promise<Stage> {
  const { sam, zoe, endedToken } = cast;
  const creator = OWN.has(situation) ? sam : cast.ann;
  const stage = { bob: cast.bob, zoe, creator, subject: sam, token: sam.access, isThere: true };
  if (situation === 'nothing of the kind') return { ...stage, conv: idOfNothing(), seq: 2, isThere: false };
  if (situation === 'side of a direct') return { ...stage, ...(await direct(cast, setting)) };
  const conv = await create(cast, situation, setting.kind);
  if (situation === 'moderator') await http(cast, cast.ann, 'PATCH', member(conv, sam), { role: 'moderator' });
  const author = setting.whose === 'own' && WAS_IN.has(situation) ? sam : cast.bob;
  const seq = await send(cast, author, conv);
  await depart(cast, situation, conv);
  if (situation === 'stranger') return { ...stage, conv, seq, token: null };
  if (situation === 'session ended') return { ...stage, conv, seq, token: endedToken };
  return { ...stage, conv, seq, isThere: situation !== 'owner of what is closed' };
}

const OWN: ReadonlySet<Situation> = new Set(['owner', 'owner of what is closed', 'stranger', 'session ended']);
const WAS_IN: ReadonlySet<Situation> = new Set([
  ...OWN,
  'moderator',
  'member',
  'left',
  'kicked',
  'left a public room',
  'kicked from a public room',
]);

async function create(cast: Cast, situation: Situation, kind: Kind): Promise<string> {
  const { ann, bob, sam } = cast;
  const isPublic = situation.endsWith('public room');
  const isRoom = isPublic || kind === 'private room' || situation === 'invited to a private room';
  const [creator, others] = OWN.has(situation) ? [sam, [bob]] : [ann, WAS_IN.has(situation) ? [bob, sam] : [bob]];
  const members = others.map(({ id }) => id);
  const fields = { kind: isRoom ? 'room' : 'group', members, title: 'a title', ...(isPublic ? { public: true } : {}) };
  return String((await http(cast, creator, 'POST', 'conversations', fields)).conv);
}

/** What happens after the message was sent. */
async function depart(cast: Cast, situation: Situation, conv: string): Promise<void> {
  const { ann, sam } = cast;
  if (situation.startsWith('left')) await http(cast, sam, 'DELETE', member(conv, sam));
  if (situation.startsWith('kicked')) await http(cast, ann, 'DELETE', member(conv, sam));
  if (situation.startsWith('invited'))
    await http(cast, ann, 'POST', `conversations/${conv}/members`, { users: [sam.id] });
  if (situation === 'owner of what is closed') await http(cast, sam, 'DELETE', `conversations/${conv}`);
}

/** With somebody new: two people have one direct. */
async function direct(cast: Cast, { whose }: Setting) {
  const bob = await cast.server.account('bob');
  const { conv } = await http(cast, cast.sam, 'POST', 'conversations', { kind: 'direct', members: [bob.id] });
  return { conv: String(conv), bob, seq: await send(cast, whose === 'own' ? cast.sam : bob, String(conv)) };
}

async function send(cast: Cast, author: Account, conv: string): Promise<number> {
  return Number((await http(cast, author, 'POST', `conversations/${conv}/messages`, { text: `hello ${newId()}` })).seq);
}

function member(conv: string, { id }: Account): string {
  return `conversations/${conv}/members/${id}`;
}

/** A request that must do. */
async function http({ server }: Cast, { access: token }: Account, method: string, path: string, fields?: object) {
  const { status, body } = await server.http(method, path, fields, { token });
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
  return body;
}
