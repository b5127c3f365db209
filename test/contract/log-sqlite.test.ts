// What only the SQLite log promises: who may open its file, what a crash and a full disk leave, and what it knows
// of changes it holds no more.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { StartError } from '../../src/errors.ts';
import type { Append, Appended, Change, Log } from '../../src/ports/log.ts';
import { PositionLost } from '../../src/ports/log.ts';
import { type LogFolder, logFolder, smallDisk } from './log-folder.ts';
import { ANN, appendOne, checkNumbers, conv, creation, key, message, readAll, readUpTo } from './log-items.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A child that appends, its lines as they come, and its end. */
class Child {
  readonly lines: string[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  #onLine: (() => void) | undefined;

  constructor(folder: LogFolder, run: string) {
    const script = new URL('log-child.ts', import.meta.url).pathname;
    // tap puts its hooks, which also end a process on SIGXFSZ, back into the NODE_OPTIONS of whatever is spawned.
    const command = ['-u', 'NODE_OPTIONS', process.execPath, script, folder.path, run];
    this.process = spawn('env', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.process, 'close').then(() => this.#onLine?.());
    if (this.process.stdout === null) throw new Error('no output');
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine?.();
    });
  }

  /** Resolves when so many lines with a beginning have come. */
  async line(beginning: string, count = 1): Promise<void> {
    while (this.lines.filter((line) => line.startsWith(beginning)).length < count) {
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`the child ended: ${this.lines.at(-1)}`);
      await new Promise<void>((resolve) => {
        this.#onLine = resolve;
      });
    }
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

function childOf(t: Test, folder: LogFolder, run: string): Child {
  const child = new Child(folder, run);
  t.teardown(() => child.kill());
  return child;
}

async function refusal(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => new Error('it opened'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof StartError)) throw error;
  return error.message;
}

t.test('a folder in use is refused, in this process and in others, until its process ends', async (t) => {
  const folder = await logFolder(t);
  const holder = childOf(t, folder, '0');
  await holder.line('open');
  t.match(await refusal(folder.open()), /^data_in_use: [^\n]+$/);
  await holder.kill();
  const log = await folder.open();
  t.match(await refusal(folder.open()), /^data_in_use: /, 'also within one process');
  const other = childOf(t, folder, '1');
  await other.ended;
  t.match(other.lines, [/^refused StartError data_in_use: /]);
  await appendOne(log, creation(conv('mine')));
  await log.close();
  await (await folder.open()).close();
});

t.test('a file that is not a log of ours is refused and left as it is', async (t) => {
  const folder = await logFolder(t);
  const foreign = new DatabaseSync(folder.file);
  foreign.exec('CREATE TABLE theirs (one); INSERT INTO theirs VALUES (1)');
  foreign.close();
  const before = await readFile(folder.file);
  t.match(await refusal(folder.open()), /^data_foreign: [^\n]+$/);
  t.same(await readFile(folder.file), before);
  await writeFile(folder.file, 'Dear diary, this is no database. '.repeat(99));
  t.match(await refusal(folder.open()), /^data_foreign: [^\n]+$/);
});

t.test('a file of a newer version is refused', async (t) => {
  const folder = await logFolder(t);
  await (await folder.open()).close();
  const newer = new DatabaseSync(folder.file);
  newer.exec('UPDATE meta SET version = version + 1');
  newer.close();
  t.match(await refusal(folder.open()), /^data_newer: [^\n]+$/);
});

t.test('a damaged file is refused', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  await log.append([creation(conv(1)), message(conv(1)), message(conv(1))]);
  await log.close();
  const damaged = new DatabaseSync(folder.file);
  damaged.exec('UPDATE log SET wire = substr(wire, 1, 20) WHERE offset = 2');
  damaged.close();
  t.match(await refusal(folder.open()), /^data_damaged: [^\n]+$/);
  const holed = new DatabaseSync(folder.file);
  holed.exec('DELETE FROM log WHERE offset = 2');
  holed.close();
  t.match(await refusal(folder.open()), /^data_damaged: [^\n]+$/, 'a hole is damage too');
});

t.test('a folder that cannot be written, or is not there, is refused', async (t) => {
  const folder = await logFolder(t);
  await mkdir(folder.file);
  t.match(await refusal(folder.open()), /^data_unusable: [^\n]+$/, 'a folder in place of the file');
  await rm(folder.file, { recursive: true });
  await rm(folder.storeFile);
  t.match(await refusal(folder.open()), /^data_unusable: [^\n]+store\.db[^\n]+$/, 'no store');
  const gone = await logFolder(t);
  await rm(gone.path, { recursive: true });
  t.match(await refusal(gone.open()), /^data_unusable: [^\n]+$/, 'no folder');
  await mkdir(gone.path);
});

t.test('a read-only disk is refused', async (t) => {
  const folder = await smallDisk(t);
  if (folder === undefined) return t.pass('only root can mount a disk', { skip: true });
  await (await folder.open()).close();
  folder.remount('ro');
  t.match(await refusal(folder.open()), /^data_unusable: [^\n]+$/);
});

t.test('heads and keys of trimmed changes come from the store', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  const convs = Array.from({ length: 20 }, (_, index) => conv(index));
  await log.append(convs.map((name) => creation(name)));
  const items = convs.flatMap((where, index) =>
    Array.from({ length: index }, (_, count) => message(where, { key: key(count) })),
  );
  const first = await log.append(items);
  const changes = await readAll(log);
  await folder.store(changes);
  await log.trim([changes.length]);
  const repeats = first.map((answer) => ({ ...answer, dup: true }));
  t.same(await log.append(items), repeats, 'every key');
  t.same(
    await log.append(convs.map((name) => creation(name))),
    convs.map(() => ({ is: 'moved', guard: 1 })),
  );
  const more = await log.append(convs.map((where) => message(where)));
  t.match(
    more,
    convs.map((_, index) => ({ is: 'ok', seq: index + 2, n: index + 1 })),
  );
  await log.close();
  const second = await folder.open();
  t.same(await second.append(items), repeats, 'also when the log holds later changes of the conversation');
  const unstored = await readAll(second);
  await folder.store(unstored);
  await second.close();
  const third = await folder.open();
  t.same(await third.append(items), repeats, 'and when log and store both hold them');
  t.match(await appendOne(third, message(conv(19))), { seq: 22, n: 21 });
});

t.test('a store that cannot be read fails the batch as a whole, and only while it cannot', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  await log.append([creation(conv('cold'))]);
  await folder.store(await readAll(log));
  await log.trim([1]);
  await log.append([creation(conv('warm'))]);
  const items = [message(conv('warm'), { key: key(1) }), message(conv('cold'), { key: key(2) })];
  const other = new DatabaseSync(folder.storeFile);
  t.teardown(() => other.close());
  other.exec('ALTER TABLE convs RENAME TO away');
  await t.rejects(log.append(items), { code: 'unavailable' });
  t.match(await appendOne(log, message(conv('warm'))), { seq: 2, n: 1 }, 'what needs no store is not held up');
  other.exec('ALTER TABLE away RENAME TO convs');
  t.match(await log.append(items), [
    { is: 'ok', dup: false, seq: 3, n: 2 },
    { is: 'ok', dup: false, seq: 2, n: 1 },
  ]);
  const changes = await readAll(log);
  t.same(
    changes.map(({ offset, seq }) => [offset, seq]),
    [
      [2, 1],
      [3, 2],
      [4, 3],
      [5, 2],
    ],
  );
  await log.close();
  t.same(await readAll(await folder.open()), changes);
});

t.test('law 7: a tail that reads the file while it is trimmed is lost, never wrong', async (t) => {
  const folder = await logFolder(t);
  const first = await folder.open();
  await first.append([creation(conv(1)), message(conv(1)), message(conv(1)), message(conv(1))]);
  await folder.store(await readAll(first));
  await first.close();
  const log = await folder.open();
  const tail = log.tail([1]);
  const trimming = log.trim([3]);
  await new Promise((resolve) => setImmediate(resolve));
  t.same(log.state().trimmed, [0], 'the trim is under way');
  const next = tail.next();
  await trimming;
  await t.rejects(next, PositionLost);
});

t.test('a trim stops at what the store holds', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  await log.append([creation(conv(1)), message(conv(1)), message(conv(1))]);
  await log.trim([3]);
  t.same(log.state().trimmed, [0]);
  await folder.store((await readAll(log)).slice(0, 2));
  await log.trim([3]);
  t.same(log.state().trimmed, [2]);
});

t.test('a long trim goes in slices, with appends in between', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  await log.append([creation(conv(1))]);
  for (let batch = 0; batch < 10; batch++) await log.append(Array.from({ length: 1_000 }, () => message(conv(1))));
  const changes = await readAll(log);
  await folder.store(changes);
  const trimming = log.trim([changes.length]);
  await appendOne(log, message(conv(1)));
  t.ok((log.state().trimmed[0] ?? 0) < changes.length, 'an append did not wait for all of it');
  await trimming;
  t.same(log.state(), { ...log.state(), head: [changes.length + 1], trimmed: [changes.length] });
  await t.rejects(log.tail([5]).next(), PositionLost);
});

t.test('law 6: an older log file than the store has a new epoch, and goes on after the store', async (t) => {
  const folder = await logFolder(t);
  const old = join(folder.path, 'old.db');
  const log = await folder.open();
  const { epoch } = log.state();
  await log.append([creation(conv(1)), message(conv(1), { key: key(1) })]);
  await folder.store(await readAll(log));
  await log.close();
  await cp(folder.file, old);
  const later = await folder.open();
  await later.append([message(conv(1), { key: key(2) }), creation(conv(2))]);
  await folder.store(await readUpTo(later, [2], [4]));
  await later.close();

  await cp(old, folder.file);
  const restored = await folder.open();
  const state = restored.state();
  t.not(state.epoch, epoch);
  t.same([state.head, state.trimmed], [[4], [4]]);
  await t.rejects(restored.tail([2]).next(), PositionLost);
  t.match(await appendOne(restored, message(conv(1), { key: key(2) })), { dup: true, seq: 3, n: 2 });
  const [made] = await Promise.all([restored.tail([4]).next(), appendOne(restored, message(conv(1), { key: key(3) }))]);
  t.match(made.value, [{ offset: 5, seq: 4, n: 3 }]);
  await restored.close();
  const again = await folder.open();
  t.equal(again.state().epoch, state.epoch, 'and keeps it');

  await again.close();
  await rm(folder.file);
  const lost = await folder.open();
  t.not(lost.state().epoch, state.epoch, 'a log that is gone altogether is a new one');
  t.same(lost.state().head, [4]);
});

t.test('a store older than the trim point of the log is refused: changes between are in neither', async (t) => {
  const folder = await logFolder(t);
  const log = await folder.open();
  await log.append([creation(conv(1)), message(conv(1))]);
  await folder.store(await readAll(log));
  await log.trim([2]);
  await log.close();
  const emptied = new DatabaseSync(folder.storeFile);
  emptied.exec('DELETE FROM changes; DELETE FROM convs; DELETE FROM watermark');
  emptied.close();
  t.match(await refusal(folder.open()), /^data_mismatch: [^\n]+$/);
});

t.test('law 3: what was acknowledged or seen before kill -9 is there after it, trimmed or not', async (t) => {
  const folder = await logFolder(t);
  let all: readonly Change[] = [];
  let stored = 0;
  for (let run = 1; run <= 4; run++) {
    const child = childOf(t, folder, String(run));
    await child.line('ok', 1 + random(400));
    await child.kill();
    const log = await folder.open();
    const { trimmed } = log.state();
    all = [...all.slice(0, trimmed[0]), ...(await readAll(log))];
    checkNumbers(t, all);
    const missing = child.lines.slice(0, -1).filter((line) => !agrees(line, all));
    t.same(missing, [], `run ${run}: all of ${child.lines.length} lines, ${all.length} changes, ${trimmed} trimmed`);
    await t.resolves(checkRepeats(log, all), 'and the keys of them are known');
    const upTo = stored + random(all.length - stored);
    await folder.store(all.slice(stored, upTo));
    stored = upTo;
    await log.trim([random(upTo + 1)]);
    await log.close();
  }
});

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function agrees(line: string, changes: readonly Change[]): boolean {
  const [word, ...rest] = line.split(' ');
  if (word === 'seen') {
    const change = changes[Number(rest[0]) - 1];
    return change?.conv === rest[1] && change?.seq === Number(rest[2]);
  }
  if (word !== 'ok') return true;
  const [where, seq, n, at, id] = rest;
  return changes.some(
    (one) =>
      one.key === id && one.conv === where && one.seq === Number(seq) && one.n === Number(n) && one.at === Number(at),
  );
}

async function checkRepeats(log: Log, changes: readonly Change[]): Promise<void> {
  const keyed = changes.filter((change) => change.key !== null && random(8) === 0);
  const answers = await log.append(keyed.map((change) => message(change.conv, { key: change.key })));
  for (const [index, { seq, n, at }] of keyed.entries()) {
    const expected = JSON.stringify({ is: 'ok', dup: true, seq, n, at });
    if (JSON.stringify(answers[index]) !== expected) throw new Error(`${JSON.stringify(answers[index])}: ${expected}`);
  }
}

t.test('a full disk: nothing is acknowledged, nothing half written, and it goes on when there is space', async (t) => {
  const folder = await smallDisk(t);
  if (folder === undefined) return t.pass('only root can mount a disk', { skip: true });
  const log = await folder.open();
  await log.append([creation(conv(1))]);
  const live = log.tail(await log.readIndex());
  const acknowledged: Appended[] = [];
  let refused: Append[] | undefined;
  for (let turn = 0; refused === undefined && turn < 5_000; turn++) {
    const items = Array.from({ length: 1 + (turn % 7) }, (_, index) =>
      message(conv(1), { key: key(turn * 10 + index) }),
    );
    try {
      acknowledged.push(...(await log.append(items)));
    } catch (error) {
      t.match(error, { code: 'unavailable' });
      refused = items;
    }
  }
  const items = refused ?? [];
  await t.rejects(log.append([creation(conv(2)), ...items]), { code: 'unavailable' }, 'again');
  const [head = 0] = await log.readIndex();
  t.equal(head, acknowledged.length + 1, 'what is acknowledged is all there is');
  for (const one of items) t.equal(await log.recall(conv(1), ANN, one.key ?? key(0)), null);
  t.equal((await readAll(log)).length, head, 'and can be read');

  folder.remount('size=16m');
  const made = await log.append([creation(conv(2)), ...items]);
  t.match(made[0], { is: 'ok', dup: false, seq: 1 });
  t.match(
    made.slice(1),
    items.map((_, index) => ({ is: 'ok', dup: false, seq: head + 1 + index, n: head + index })),
  );
  const changes = await readAll(log);
  checkNumbers(t, changes);
  const seen: Change[] = [];
  while (seen.length < changes.length - 1) seen.push(...((await live.next()).value as Change[]));
  t.same(seen, changes.slice(1), 'a live tail saw exactly what was written');
  await log.close();
  t.same(await readAll(await folder.open()), changes);
});

t.test('a full disk while trimming leaves both as they were', async (t) => {
  const folder = await smallDisk(t);
  if (folder === undefined) return t.pass('only root can mount a disk', { skip: true });
  const log = await folder.open();
  await log.append([creation(conv(1))]);
  while (
    await log.append([message(conv(1), { fields: { text: 'x'.repeat(4_000) } })]).then(
      () => true,
      () => false,
    )
  );
  const changes = await readAll(log);
  await folder.store(changes);
  await t.rejects(log.trim([changes.length]), { code: 'unavailable' });
  t.same(log.state().trimmed, [0]);
  t.same(await readAll(log), changes);
  folder.remount('size=16m');
  await log.trim([changes.length]);
  t.same(log.state().trimmed, [changes.length]);
  t.match(await appendOne(log, message(conv(1))), { seq: changes.length + 1 });
});

t.test('write errors leave no trace: files limited in size by the system, then not', async (t) => {
  const folder = await logFolder(t);
  const child = childOf(t, folder, '1');
  await child.line('ok', 50);
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(child.process.pid), `--fsize=${bytes}:`]);
  limit('200000');
  await child.line('failed unavailable', 20);
  const told = child.lines.filter((line) => line.startsWith('ok')).length;
  limit('unlimited');
  await child.line('ok', told + 100);
  await child.kill();
  const log = await folder.open();
  const changes = await readAll(log);
  checkNumbers(t, changes);
  t.same(
    child.lines.slice(0, -1).filter((line) => !agrees(line, changes)),
    [],
  );
});

t.test(
  'law 9: a stalled tail leaves a bounded part of a long log on the main thread, and gets all of it',
  async (t) => {
    const folder = await logFolder(t);
    const log = await folder.open();
    await log.append([creation(conv(1))]);
    const tail = log.tail([0]);
    await tail.next();
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const text = 'x'.repeat(4_000);
    for (let batch = 0; batch < 100; batch++) {
      await log.append(Array.from({ length: 160 }, () => message(conv(1), { fields: { text } })));
    }
    collectGarbage();
    const grown = process.memoryUsage().heapUsed - before;
    t.ok(grown < 45_000_000, `64 MB of changes: ${Math.round(grown / 1e6)} MB more in memory`);
    let next = 2;
    while (next <= 16_001) {
      const { value } = await tail.next();
      if (value[0].offset !== next) t.equal(value[0].offset, next);
      next += value.length;
    }
    t.equal(next, 16_002);
  },
);
