// Who gets what answer: for every route and every frame, in every situation. What stands here is the policy; a route or a
// frame that is missing fails the sweep.
import type { ErrorCode } from '../../../src/errors.ts';
import type { ClientFrameName } from '../../../src/protocol/requests.ts';
import type { Account } from '../../kit/index.ts';
import { newId } from '../kit.ts';
import { idOfNothing, type Setting, type Situation, type Stage } from './situations.ts';

/**
 * - `done`: it is done, or read.
 * - `unseen`: `not_found`, byte for byte as for a thing that never was.
 * - `heard`, `unheard`: of a signal, whether others are told.
 * - `page`: the web page, or that it was not built.
 */
export type Expected = 'done' | 'unseen' | 'heard' | 'unheard' | 'page' | ErrorCode;

export type Question =
  | { readonly method: string; readonly path: string; readonly fields?: object }
  | { readonly frame: { readonly t: ClientFrameName } & Readonly<Record<string, unknown>> };

/** A question about a conversation. */
export interface Row extends Partial<Setting> {
  readonly name: string;
  /** The route or frame it asks: `GET /path/:param` or a frame's name. */
  readonly asks: string;
  readonly question: (stage: Stage) => Question;
  readonly answers: Readonly<Record<Situation, Expected>>;
}

type Insiders = readonly [owner: Expected, moderator: Expected, member: Expected, direct: Expected];

/** Members by their role; to the others a public room says that it is there and no more, and all else is not there. */
function forMembers(insiders: Insiders, others: Partial<Record<Situation, Expected>> = {}): Row['answers'] {
  const [owner, moderator, member, direct] = insiders;
  return {
    owner,
    moderator,
    member,
    'side of a direct': direct,
    'invited to a private room': 'unseen',
    outsider: 'unseen',
    left: 'unseen',
    kicked: 'unseen',
    'passer-by of a public room': 'forbidden',
    'left a public room': 'forbidden',
    'kicked from a public room': 'forbidden',
    'owner of what is closed': 'unseen',
    'nothing of the kind': 'unseen',
    stranger: 'unauthenticated',
    'session ended': 'invalid_token',
    ...others,
  };
}

const EVERY_MEMBER = forMembers(['done', 'done', 'done', 'done']);
const INVITED_TOO = forMembers(['done', 'done', 'done', 'done'], { 'invited to a private room': 'done' });
const LEADERS = forMembers(['done', 'done', 'forbidden', 'forbidden']);
const OWNERS = forMembers(['done', 'forbidden', 'forbidden', 'forbidden']);
const NO_MEMBER = forMembers(['forbidden', 'forbidden', 'forbidden', 'forbidden']);
const NOT_THERE = forMembers(['not_found', 'not_found', 'not_found', 'not_found']);
const AUTHOR = EVERY_MEMBER;
/** Who may come in comes in, who is in stays. */
const WAYS_IN: Partial<Record<Situation, Expected>> = {
  'invited to a private room': 'done',
  'passer-by of a public room': 'done',
  'left a public room': 'done',
  'kicked from a public room': 'done',
};
const JOINING = forMembers(['done', 'done', 'done', 'forbidden'], WAYS_IN);
const LEAVING = forMembers(['conflict', 'done', 'done', 'forbidden'], WAYS_IN);
const NOT_YET = forMembers(['unknown_type', 'unknown_type', 'unknown_type', 'unknown_type'], {
  'invited to a private room': 'unknown_type',
  outsider: 'unknown_type',
  left: 'unknown_type',
  kicked: 'unknown_type',
  'passer-by of a public room': 'unknown_type',
  'left a public room': 'unknown_type',
  'kicked from a public room': 'unknown_type',
  'owner of what is closed': 'unknown_type',
  'nothing of the kind': 'unknown_type',
});
const SIGNALLED: Row['answers'] = {
  ...forMembers(['heard', 'heard', 'heard', 'heard']),
  'invited to a private room': 'unheard',
  outsider: 'unheard',
  left: 'unheard',
  kicked: 'unheard',
  'passer-by of a public room': 'unheard',
  'left a public room': 'unheard',
  'kicked from a public room': 'unheard',
  'owner of what is closed': 'unheard',
  'nothing of the kind': 'unheard',
};

function frame(
  t: ClientFrameName,
  name: string,
  fields: (stage: Stage) => object,
  rest: Omit<Row, 'name' | 'asks' | 'question'>,
): Row {
  return { name, asks: t, question: (stage) => ({ frame: { t, conv: stage.conv, ...fields(stage) } }), ...rest };
}

const FRAMES: readonly Row[] = [
  frame('message', 'say something', () => ({ text: 'hi' }), { answers: EVERY_MEMBER }),
  frame('message', 'reply to something', ({ seq }) => ({ text: 'hi', reply: seq }), { answers: EVERY_MEMBER }),
  frame('message', 'reply to what is not there', () => ({ text: 'hi', reply: 1_000 }), { answers: NOT_THERE }),
  frame('message', 'send a file nobody has', () => ({ text: 'hi', files: [idOfNothing()] }), { answers: NOT_THERE }),
  frame('edit', "change another's message", ({ seq }) => ({ seq, text: 'mine' }), { answers: NO_MEMBER }),
  frame('edit', "change one's own message", ({ seq }) => ({ seq, text: 'mine' }), { answers: AUTHOR, whose: 'own' }),
  frame('edit', 'change a message that is not there', () => ({ seq: 1_000, text: 'mine' }), { answers: NOT_THERE }),
  frame('delete', "delete another's message", ({ seq }) => ({ seq, for: 'all' }), { answers: LEADERS }),
  frame('delete', "delete one's own message", ({ seq }) => ({ seq, for: 'all' }), { answers: AUTHOR, whose: 'own' }),
  frame('delete', 'delete a message that is not there', () => ({ seq: 1_000, for: 'all' }), { answers: NOT_THERE }),
  frame('react', 'react', ({ seq }) => ({ seq, emoji: '👍', on: true }), { answers: NOT_YET }),
  frame('pin', 'pin', ({ seq }) => ({ seq, on: true }), { answers: NOT_YET }),
  frame('join', 'join', () => ({}), { answers: JOINING }),
  frame('leave', 'leave', () => ({}), { answers: LEAVING }),
  frame('read', 'read', () => ({ n: 1 }), { answers: EVERY_MEMBER }),
  frame('sync', 'sync', () => ({ after: 0 }), { answers: EVERY_MEMBER }),
  frame('sync', 'sync from the future', () => ({ after: 1_000 }), { answers: EVERY_MEMBER }),
  frame('history', 'history', () => ({}), { answers: EVERY_MEMBER }),
  frame('history', 'history around a message', ({ seq }) => ({ around: seq }), { answers: EVERY_MEMBER }),
  frame('typing', 'type', () => ({ on: true }), { answers: SIGNALLED }),
  frame('received', 'receive', () => ({ n: 1 }), { answers: SIGNALLED }),
];

const CONV = '/api/v1/conversations/:conv';
const MEMBER = `${CONV}/members/:user`;
const MESSAGE = `${CONV}/messages/:seq`;

type Route = readonly [method: string, route: string, fields?: object | ((stage: Stage) => object)];

function route(
  name: string,
  [method, path, fields]: Route,
  rest: Omit<Row, 'name' | 'asks' | 'question'> & { readonly user?: (stage: Stage) => string },
): Row {
  const { user = ({ bob }) => bob.id, ...row } = rest;
  const question = (stage: Stage) => ({
    method,
    path: path.replace(':conv', stage.conv).replace(':user', user(stage)).replace(':seq', String(stage.seq)),
    ...(fields === undefined ? {} : { fields: typeof fields === 'function' ? fields(stage) : fields }),
  });
  return { name, asks: `${method} ${path.split('?')[0]}`, question, ...row };
}

const self = ({ subject }: Stage) => subject.id;
const nobody = () => idOfNothing();

const ROUTES: readonly Row[] = [
  route('look at it', ['GET', CONV], { answers: INVITED_TOO }),
  route('call it something else', ['PATCH', CONV, { title: 'mine' }], { answers: LEADERS }),
  route('change nothing of it', ['PATCH', CONV, {}], { answers: LEADERS }),
  route('close it', ['DELETE', CONV], { answers: OWNERS }),
  route('see who is in', ['GET', `${CONV}/members`], { answers: EVERY_MEMBER }),
  route('add somebody', ['POST', `${CONV}/members`, ({ zoe }) => ({ users: [zoe.id] })], {
    answers: forMembers(['done', 'done', 'done', 'forbidden']),
  }),
  route('invite somebody to a private room', ['POST', `${CONV}/members`, ({ zoe }) => ({ users: [zoe.id] })], {
    answers: forMembers(['done', 'done', 'forbidden', 'forbidden']),
    kind: 'private room',
  }),
  route('add oneself', ['POST', `${CONV}/members`, ({ subject }) => ({ users: [subject.id] })], {
    answers: forMembers(['done', 'done', 'done', 'forbidden']),
  }),
  route('add nobody', ['POST', `${CONV}/members`, () => ({ users: [idOfNothing()] })], { answers: NOT_THERE }),
  route('give somebody a role', ['PATCH', MEMBER, { role: 'moderator' }], { answers: OWNERS }),
  route('give oneself a role', ['PATCH', MEMBER, { role: 'owner' }], { answers: OWNERS, user: self }),
  route('give nobody a role', ['PATCH', MEMBER, { role: 'member' }], {
    answers: forMembers(['not_found', 'forbidden', 'forbidden', 'forbidden']),
    user: nobody,
  }),
  route('remove somebody', ['DELETE', MEMBER], { answers: LEADERS }),
  route('remove the owner', ['DELETE', MEMBER], {
    answers: forMembers(['conflict', 'forbidden', 'forbidden', 'forbidden']),
    user: ({ creator }) => creator.id,
  }),
  route('remove oneself', ['DELETE', MEMBER], { answers: LEAVING, user: self }),
  route('remove nobody', ['DELETE', MEMBER], {
    answers: forMembers(['not_found', 'not_found', 'forbidden', 'forbidden']),
    user: nobody,
  }),
  route('say something', ['POST', `${CONV}/messages`, { text: 'hi' }], { answers: EVERY_MEMBER }),
  route('read what was said', ['GET', `${CONV}/messages`], { answers: EVERY_MEMBER }),
  route('read around a message', ['GET', `${CONV}/messages?around=2`], { answers: EVERY_MEMBER }),
  route("change another's message", ['PATCH', MESSAGE, { text: 'mine' }], { answers: NO_MEMBER }),
  route("change one's own message", ['PATCH', MESSAGE, { text: 'mine' }], { answers: AUTHOR, whose: 'own' }),
  route("delete another's message", ['DELETE', MESSAGE], { answers: LEADERS }),
  route("delete one's own message", ['DELETE', MESSAGE], { answers: AUTHOR, whose: 'own' }),
];

/** All that is asked about a conversation. */
export const ROWS: readonly Row[] = [...FRAMES, ...ROUTES];

/** A question that is about no conversation: asked by somebody new each time. */
export interface PlainRow {
  readonly asks: string;
  readonly name?: string;
  readonly path?: (user: Account) => string;
  readonly fields?: (user: Account) => object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: readonly [stranger: Expected, ended: Expected, user: Expected];
}

const PASSWORD = 'correct horse battery';
const SIGNED_IN = ['unauthenticated', 'invalid_token', 'done'] as const;
const ANYBODY = ['done', 'done', 'done'] as const;
const NOBODY = ['unseen', 'unseen', 'unseen'] as const;
const API = '/api/v1';

const somebody = () => {
  const username = `u${newId().replaceAll('-', '').slice(-20)}`;
  return { username, email: `${username}@example.org`, password: PASSWORD };
};

export const PLAIN_ROWS: readonly PlainRow[] = [
  { asks: `POST ${API}/auth/register`, fields: somebody, answers: ANYBODY },
  { asks: `POST ${API}/auth/login`, fields: ({ name: login }) => ({ login, password: PASSWORD }), answers: ANYBODY },
  {
    asks: `POST ${API}/auth/login`,
    name: 'with a wrong password',
    fields: ({ name: login }) => ({ login, password: 'not this one' }),
    answers: ['unauthenticated', 'unauthenticated', 'unauthenticated'],
  },
  {
    asks: `POST ${API}/auth/refresh`,
    fields: ({ refresh }) => ({ refresh }),
    // The session of the second has ended.
    answers: ['done', 'invalid_token', 'done'],
  },
  {
    asks: `POST ${API}/auth/refresh`,
    name: 'with an access token',
    fields: ({ access: refresh }) => ({ refresh: refresh.slice(0, 256) }),
    answers: ['invalid_token', 'invalid_token', 'invalid_token'],
  },
  // Once more changes nothing.
  { asks: `POST ${API}/auth/logout`, answers: ['unauthenticated', 'done', 'done'] },
  { asks: `GET ${API}/users/me`, answers: SIGNED_IN },
  { asks: `PATCH ${API}/users/me`, fields: () => ({ displayName: 'me' }), answers: SIGNED_IN },
  {
    asks: `POST ${API}/users/me/password`,
    fields: () => ({ current: PASSWORD, password: 'another password' }),
    answers: SIGNED_IN,
  },
  {
    asks: `POST ${API}/users/me/password`,
    name: 'without the current one',
    fields: () => ({ current: 'not this one', password: 'another password' }),
    answers: ['unauthenticated', 'invalid_token', 'forbidden'],
  },
  { asks: `GET ${API}/users`, path: () => `${API}/users?q=a`, answers: SIGNED_IN },
  { asks: `GET ${API}/users/:user`, path: ({ id }) => `${API}/users/${id}`, answers: SIGNED_IN },
  {
    asks: `GET ${API}/users/:user`,
    name: 'of nobody',
    path: () => `${API}/users/${idOfNothing()}`,
    answers: ['unauthenticated', 'invalid_token', 'not_found'],
  },
  { asks: `POST ${API}/conversations`, fields: () => ({ kind: 'group' }), answers: SIGNED_IN },
  {
    asks: `POST ${API}/conversations`,
    name: 'with nobody',
    fields: () => ({ kind: 'direct', members: [idOfNothing()] }),
    answers: ['unauthenticated', 'invalid_token', 'not_found'],
  },
  { asks: `GET ${API}/conversations`, answers: SIGNED_IN },
  { asks: `GET ${API}/rooms`, answers: SIGNED_IN },
  { asks: 'GET /health', answers: ANYBODY },
  { asks: 'GET /ready', answers: ANYBODY },
  // The tests come from the machine itself; what a proxy has passed on does not.
  { asks: 'GET /metrics', answers: ANYBODY },
  { asks: 'GET /metrics', name: 'through a proxy', headers: { 'x-forwarded-for': '127.0.0.1' }, answers: NOBODY },
  { asks: 'GET /metrics', name: 'through another', headers: { forwarded: 'for=127.0.0.1' }, answers: NOBODY },
  { asks: 'GET /metrics', name: 'through a third', headers: { 'x-real-ip': '127.0.0.1' }, answers: NOBODY },
  ...['', '/json', '/yaml', '/static/index.html', '/static/swagger-initializer.js'].map((path) => ({
    asks: `GET /docs${path}`,
    answers: ANYBODY,
  })),
  { asks: 'GET /docs/static/*', path: () => '/docs/static/swagger-ui.css', answers: ANYBODY },
  ...['/', '/c/*', '/rooms', '/settings', '/settings/*'].map((path) => ({
    asks: `GET ${path}`,
    answers: ['page', 'page', 'page'] as const,
  })),
  { asks: 'GET /assets/*', path: () => '/assets/nothing.js', answers: ['not_found', 'not_found', 'not_found'] },
];

/** Frames that are about no conversation: where they are asked by whom. */
export const PLAIN_FRAMES: Readonly<Record<string, string>> = {
  hello: 'opening.test.ts: tokens',
  renew: 'opening.test.ts: before and beside hello',
  ping: 'opening.test.ts: before and beside hello',
  presence: 'test/e2e/presence.test.ts',
};
