import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { startThread, type Thread } from '../../src/adapters/sqlite/thread.ts';
import { ChatError, StartError } from '../../src/errors.ts';
import { HoleError } from '../../src/ports/store.ts';
import { temporaryFolder } from './store-sqlite.ts';

const MODULE = new URL('./thread-fixture.ts', import.meta.url);

function neverCrashes(error: Error): void {
  throw error;
}

async function open(t: Test, onCrash: (error: Error) => void = neverCrashes): Promise<Thread & { file: string }> {
  const file = join(await temporaryFolder(t), 'words.db');
  const thread = await startThread({ module: MODULE, name: 'words', data: { file }, onCrash });
  t.teardown(() => thread.close());
  return { call: thread.call, close: () => thread.close(), file };
}

t.test('the calls of one turn share one commit', async (t) => {
  const { call, file } = await open(t);
  const { size: before } = await stat(`${file}-wal`);
  await Promise.all(Array.from({ length: 100 }, (_, index) => call('put', `word ${index}`)));
  const { size: together } = await stat(`${file}-wal`);
  for (let index = 100; index < 110; index++) await call('put', `word ${index}`);
  const { size: apart } = await stat(`${file}-wal`);
  t.ok(together - before < apart - together, 'a hundred in one turn write fewer pages than ten one by one');
  t.equal(await call('count'), 110);
});

t.test('answers are those of the calls, in any mixture', async (t) => {
  const { call } = await open(t);
  const answers = await Promise.allSettled([
    call('count'),
    call('put', 'a'),
    call('put', 'a'),
    call('count'),
    call('x'),
  ]);
  t.match(answers, [
    { status: 'fulfilled', value: 0 },
    { status: 'fulfilled', value: undefined },
    { status: 'rejected', reason: { message: /UNIQUE constraint failed/ } },
    { status: 'fulfilled', value: 1 },
    { status: 'rejected', reason: { message: 'there is no operation x' } },
  ]);
});

t.test('a call that fails undoes what it did, and nothing else', async (t) => {
  const { call } = await open(t);
  const failing = ['hole', 'start', 'chat', 'defect'].map((op) => call(op, op));
  await Promise.allSettled([call('put', 'one'), ...failing, call('put', 'two')]);
  t.equal(await call('count'), 2);
  await t.rejects(call('defect', 'alone'));
  t.equal(await call('count'), 2);
});

t.test('errors arrive as what they were', async (t) => {
  const { call } = await open(t);
  const caught = (op: string) => call(op, op).then(neverCrashes as () => void, (error: unknown) => error);
  const [hole, start, chat, defect] = await Promise.all(['hole', 'start', 'chat', 'defect'].map(caught));
  t.ok(hole instanceof HoleError);
  t.match(hole, { conv: 'c1', expected: 3, found: 5 });
  t.ok(start instanceof StartError);
  t.match(start, { message: 'data_newer: too new' });
  t.ok(chat instanceof ChatError);
  t.match(chat, { code: 'rate_limited', field: 'text', afterMs: 70, cause: { message: 'why' } });
  t.match(defect, { message: 'a defect', stack: /thread-fixture/ });
});

t.test('with the disk full a call is unavailable, and those that need no space are answered', async (t) => {
  const { call } = await open(t);
  await call('limitPages', 1);
  const big = 'x'.repeat(100_000);
  const answers = await Promise.allSettled([call('count'), call('put', big), call('count'), call('put', 'small')]);
  t.match(answers, [
    { status: 'fulfilled', value: 0 },
    { status: 'rejected', reason: { code: 'unavailable', cause: { message: /full/ } } },
    { status: 'fulfilled', value: 0 },
    { status: 'fulfilled' },
  ]);
  t.ok((answers[1] as PromiseRejectedResult).reason instanceof ChatError);
  await call('limitPages', 1_000_000);
  await call('put', big);
  t.equal(await call('count'), 2);
});

t.test('a call that ends the common transaction fails alone too', async (t) => {
  const { call } = await open(t);
  const answers = await Promise.allSettled([call('put', 'one'), call('endTransaction'), call('put', 'two')]);
  t.strictSame(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  t.equal(await call('count'), 2);
});

t.test('a call that makes the common commit fail, fails alone too', async (t) => {
  const { call } = await open(t);
  const answers = await Promise.allSettled([call('put', 'one'), call('orphan'), call('put', 'two'), call('count')]);
  t.strictSame(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  t.equal(await call('count'), 2);
});

t.test('reads alone ask for no write lock', async (t) => {
  const { call, file } = await open(t);
  const other = new DatabaseSync(file);
  t.teardown(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  t.strictSame(await Promise.all([call('count'), call('count')]), [0, 0]);
  await t.rejects(call('put', 'a'), { code: 'unavailable' });
  other.exec('ROLLBACK');
  await call('put', 'a');
});

t.test('closing answers what was asked before, and refuses what comes after', async (t) => {
  const { call, close, file } = await open(t);
  const asked = [call('put', 'one'), call('put', 'two'), call('count')];
  const closed = close();
  await t.rejects(call('put', 'three'), { code: 'unavailable' });
  t.strictSame(await Promise.all(asked), [undefined, undefined, 2]);
  await closed;
  await close();
  const db = new DatabaseSync(file);
  t.match(db.prepare('SELECT count(*) AS words FROM words').get(), { words: 2 });
  db.close();
});

t.test('a thread that dies is told of once; its calls are unavailable, then and later', async (t) => {
  const crashes: Error[] = [];
  const { call, close } = await open(t, (error) => crashes.push(error));
  const asked = [call('put', 'one'), call('die'), call('count')];
  for (const answer of asked) await t.rejects(answer, { code: 'unavailable' });
  t.match(crashes, [{ message: /ended \(3\)/ }]);
  await t.rejects(call('count'), { code: 'unavailable' });
  await close();
});

t.test('a database that cannot be opened is a StartError, and no crash', async (t) => {
  const starting = startThread({ module: MODULE, name: 'words', data: { file: null }, onCrash: neverCrashes });
  await t.rejects(starting, new StartError('data_foreign: not for us'));
});

t.test('a module that cannot be loaded fails the start', async (t) => {
  const module = new URL('./no-such-module.ts', import.meta.url);
  await t.rejects(startThread({ module, name: 'words', data: {}, onCrash: neverCrashes }), {
    message: /no-such-module/,
  });
});
