// The contract of SessionStore (src/ports/accounts.ts): every adapter passes it.
import type { Test } from 'tap';
import type { Session, SessionStore } from '../../src/ports/accounts.ts';
import type { SessionId, UserId } from '../../src/protocol/ids.ts';

export interface SessionsUnderTest {
  readonly sessions: SessionStore;
  /** Closes and opens again what is stored, without warning it; absent where nothing survives. */
  readonly reopen?: () => Promise<SessionStore>;
}

const START = 1_794_000_000_000;
const GRACE_MS = 10_000;

function login(id: string, user = 'ann'): Session {
  return { id: id as SessionId, user: user as UserId, createdAt: START };
}

export function sessionsContract(t: Test, open: (t: Test) => Promise<SessionsUnderTest>): void {
  t.test('law 4: the current token is rotated, again and again', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    for (const [from, to] of [
      ['h1', 'h2'],
      ['h2', 'h3'],
      ['h3', 'h4'],
    ] as const) {
      t.same(await sessions.rotate(from, to, START, GRACE_MS), { is: 'rotated', session: login('s1') });
    }
  });

  t.test('law 4: a token never issued is unknown, and ends nothing', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    t.same(await sessions.rotate('nothing', 'h2', START, GRACE_MS), { is: 'unknown' });
    t.same(await sessions.rotate('h2', 'h3', START, GRACE_MS), { is: 'unknown' }, 'its successor was not issued');
    t.same(await sessions.get('s1' as SessionId), login('s1'));
  });

  t.test('law 4: the token before, within its grace and its successor unused, is rotated again', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    await sessions.rotate('h1', 'h2', START, GRACE_MS);
    const again = await sessions.rotate('h1', 'h3', START + GRACE_MS, GRACE_MS);
    t.equal(again.is, 'rotated');
    t.equal((await sessions.rotate('h3', 'h4', START + 60_000, GRACE_MS)).is, 'rotated', 'the second tab goes on');
    t.equal((await sessions.rotate('h2', 'h5', START + 60_001, GRACE_MS)).is, 'rotated', 'and so does the first');
  });

  t.test('law 4: the grace counts from the first rotation, not from the last repeat', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    await sessions.rotate('h1', 'h2', START, GRACE_MS);
    await sessions.rotate('h1', 'h3', START + 9_000, GRACE_MS);
    t.equal((await sessions.rotate('h1', 'h4', START + 18_000, GRACE_MS)).is, 'reused');
  });

  t.test('law 4: the token before, after its grace, is reused and ends the session', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    await sessions.rotate('h1', 'h2', START, GRACE_MS);
    const answer = await sessions.rotate('h1', 'h3', START + GRACE_MS + 1, GRACE_MS);
    t.same(answer, { is: 'reused', session: login('s1') });
    t.equal(await sessions.get('s1' as SessionId), null);
    t.equal((await sessions.rotate('h2', 'h4', START + GRACE_MS + 2, GRACE_MS)).is, 'reused', 'the family is dead');
  });

  t.test('law 4: the token before, its successor used, is reused even within its grace', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    await sessions.rotate('h1', 'h2', START, GRACE_MS);
    await sessions.rotate('h2', 'h3', START + 1, GRACE_MS);
    t.equal((await sessions.rotate('h1', 'h4', START + 2, GRACE_MS)).is, 'reused');
    t.equal((await sessions.rotate('h3', 'h5', START + 3, GRACE_MS)).is, 'reused');
  });

  t.test('law 4: a token of long ago is still known as reused', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h0');
    for (let turn = 0; turn < 30; turn++) await sessions.rotate(`h${turn}`, `h${turn + 1}`, START + turn, GRACE_MS);
    t.equal((await sessions.rotate('h3', 'x', START + 30, GRACE_MS)).is, 'reused');
    t.equal(await sessions.get('s1' as SessionId), null);
  });

  t.test('law 4: twenty callers with one token at once are all rotated, in one generation', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => sessions.rotate('h', `next-${index}`, START, GRACE_MS)),
    );
    t.ok(answers.every((answer) => answer.is === 'rotated'));
    t.equal((await sessions.rotate('next-7', 'after', START + 1, GRACE_MS)).is, 'rotated');
    t.equal((await sessions.rotate('h', 'x', START + 1, GRACE_MS)).is, 'reused');
  });

  t.test('law 4: without a grace, of twenty callers with one token at once one is rotated', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => sessions.rotate('h', `next-${index}`, START, -1)),
    );
    t.equal(answers.filter((answer) => answer.is === 'rotated').length, 1);
    t.equal(answers.filter((answer) => answer.is === 'reused').length, 19);
    t.equal(await sessions.get('s1' as SessionId), null);
  });

  t.test('law 5: an ended session stays ended, and its token works no more', async (t) => {
    const { sessions } = await open(t);
    await sessions.open(login('s1'), 'h1');
    await sessions.end('s1' as SessionId);
    await sessions.end('s1' as SessionId);
    await sessions.end('never-there' as SessionId);
    t.equal(await sessions.get('s1' as SessionId), null);
    t.equal((await sessions.rotate('h1', 'h2', START, GRACE_MS)).is, 'reused');
    t.equal(await sessions.get('s1' as SessionId), null);
  });

  t.test('law 5: endOthers ends all sessions of the user but the kept one, and tells which', async (t) => {
    const { sessions } = await open(t);
    for (const id of ['s1', 's2', 's3', 's4']) await sessions.open(login(id), `h-${id}`);
    await sessions.open(login('b1', 'bob'), 'h-b1');
    await sessions.end('s4' as SessionId);
    const ended = await sessions.endOthers('ann' as UserId, 's2' as SessionId);
    t.same([...ended].sort(), ['s1', 's3'], 'the one that had ended before is not named');
    t.equal(await sessions.get('s1' as SessionId), null);
    t.same(await sessions.get('s2' as SessionId), login('s2'));
    t.same(await sessions.get('b1' as SessionId), login('b1', 'bob'));
    t.same(await sessions.endOthers('ann' as UserId, null), ['s2']);
    t.same(await sessions.endOthers('ann' as UserId, null), []);
  });

  t.test('law 7: whichever way a session ended, it is told for a while', async (t) => {
    const { sessions } = await open(t);
    for (const id of ['s1', 's2', 's3', 's4']) await sessions.open(login(id), `h-${id}`);
    t.same(await sessions.endedWithin(60_000), []);
    await sessions.end('s1' as SessionId);
    await sessions.rotate('h-s2', 'h-s2-2', START, GRACE_MS);
    await sessions.rotate('h-s2-2', 'h-s2-3', START, GRACE_MS);
    await sessions.rotate('h-s2', 'h-s2-4', START, GRACE_MS);
    await sessions.endOthers('ann' as UserId, 's4' as SessionId);
    t.same([...(await sessions.endedWithin(60_000))].sort(), ['s1', 's2', 's3']);
    t.same(await sessions.endedWithin(-60_000), [], 'but not for ever');
  });

  t.test('law 5: sessions, their ends and their tokens are there after everything is opened again', async (t) => {
    const { sessions, reopen } = await open(t);
    if (reopen === undefined) return t.pass('nothing survives this adapter, by design');
    await sessions.open(login('s1'), 'h1');
    await sessions.open(login('s2'), 'g1');
    await sessions.rotate('h1', 'h2', START, GRACE_MS);
    await sessions.end('s2' as SessionId);
    const again = await reopen();
    t.same(await again.get('s1' as SessionId), login('s1'));
    t.equal(await again.get('s2' as SessionId), null);
    t.equal((await again.rotate('h2', 'h3', START, GRACE_MS)).is, 'rotated');
    t.equal((await again.rotate('h1', 'h4', START, GRACE_MS)).is, 'reused');
  });
}
