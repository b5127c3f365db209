// Asks one question in one situation and says what is wrong with the answer: another class than the policy's, a difference
// to what does not exist, or an effect where there was a refusal.
import { ERRORS, type ErrorCode } from '../../../src/errors.ts';
import type { Server } from '../../kit/index.ts';
import { newId, type Speaker } from '../kit.ts';
import { type Cast, type Setting, type Situation, type Stage, stageOf } from './situations.ts';
import type { Expected, PlainRow, Question, Row } from './table.ts';

/** An answer of either door. */
export interface Answer {
  readonly status: number | null;
  readonly code: string | null;
  /** All that came, without what differs from answer to answer: time, ids of requests, the conversation's own id. */
  readonly told: string;
}

export interface Asker {
  readonly cast: Cast;
  /** Speaks for the subject. */
  readonly speaker: Speaker;
}

/** The documentation's first page is a redirection. */
const DONE = [200, 201, 204, 302];
const DIFFERS = new Set(['date', 'x-request-id', 'connection', 'keep-alive']);

export async function askHttp(
  { url }: Server,
  { method, path, fields }: Extract<Question, { method: string }>,
  token: string | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(fields === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(fields === undefined ? {} : { body: JSON.stringify(fields) }),
  });
  const { requestId, ...body } = readBody(await response.text());
  const same = [...response.headers].filter(([name]) => !DIFFERS.has(name));
  const told = JSON.stringify([response.status, same.sort(), typeof requestId, body]);
  return { status: response.status, code: typeof body.code === 'string' ? body.code : null, told };
}

function readBody(text: string): Record<string, unknown> {
  return text.startsWith('{') ? JSON.parse(text) : { text };
}

async function askFrame(speaker: Speaker, { frame }: Extract<Question, { frame: object }>): Promise<Answer> {
  const { id: _id, ...answer } = await speaker.say({ id: newId(), ...frame });
  return { status: null, code: answer.code ?? null, told: JSON.stringify(answer) };
}

async function ask({ cast, speaker }: Asker, question: Question, stage: Stage): Promise<Answer> {
  const answer =
    'frame' in question ? await askFrame(speaker, question) : await askHttp(cast.server, question, stage.token);
  return { ...answer, told: answer.told.replaceAll(stage.conv, '<conv>') };
}

function isAsExpected({ status, code }: Answer, expected: Expected): boolean {
  if (expected === 'done') return status === null ? code === null : DONE.includes(status);
  if (expected === 'page') return status === 200 || (status === 404 && code === null);
  const wanted = expected === 'unseen' ? 'not_found' : expected;
  const { http } = ERRORS[wanted as ErrorCode] as { http?: number };
  return code === wanted && (status === null || status === http);
}

/** The number of the conversation's last change, as somebody who stays in it sees it. */
async function headOf({ server }: Cast, { conv, bob }: Stage): Promise<unknown> {
  return (await server.http('GET', `conversations/${conv}`, undefined, { token: bob.access })).body.seq;
}

/** @returns what is wrong, or null */
export async function faultOf(asker: Asker, row: Row, situation: Situation): Promise<string | null> {
  const { kind = 'group', whose = "another's" } = row;
  const setting: Setting = { kind, whose };
  const expected = row.answers[situation];
  const stage = await stageOf(asker.cast, situation, setting);
  const before = stage.isThere ? await headOf(asker.cast, stage) : null;
  const answer = await ask(asker, row.question(stage), stage);
  if (!isAsExpected(answer, expected)) return `not ${expected} but ${answer.told}`;
  if (expected === 'unseen') {
    const nothing = await stageOf(asker.cast, 'nothing of the kind', setting);
    const reference = await ask(asker, row.question(nothing), { ...nothing, token: stage.token });
    if (answer.told !== reference.told) return `not as of nothing: ${answer.told}, but ${reference.told}`;
  }
  if (expected !== 'done' && stage.isThere && (await headOf(asker.cast, stage)) !== before) return 'it had an effect';
  return null;
}

/** As for a conversation, but of somebody new. `who`: 0 a stranger, 1 somebody whose session has ended, 2 a user. */
export async function plainFaultOf(server: Server, row: PlainRow, who: 0 | 1 | 2): Promise<string | null> {
  const expected = row.answers[who];
  const user = await server.account('newcomer');
  if (who === 1) await server.http('POST', 'auth/logout', undefined, { token: user.access });
  const [method = '', route = ''] = row.asks.split(' ');
  const path = row.path?.(user) ?? route;
  const fields = row.fields?.(user);
  const token = who === 0 ? null : user.access;
  const question = { method, path, ...(fields === undefined ? {} : { fields }) };
  const answer = await askHttp(server, question, token, row.headers);
  if (method === 'GET') {
    const { status } = await askHttp(server, { method: 'HEAD', path }, token, row.headers);
    if (status !== answer.status) return `HEAD is answered ${status}, GET ${answer.status}`;
  }
  if (!isAsExpected(answer, expected)) return `not ${expected} but ${answer.told}`;
  if (expected !== 'unseen') return null;
  const reference = await askHttp(server, { method: 'GET', path: '/no/such/route' }, token, row.headers);
  return answer.told === reference.told ? null : `not as of nothing: ${answer.told}, but ${reference.told}`;
}
