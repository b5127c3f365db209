// The contract of LogRecord (src/ports/log-record.ts), and of the store's law 10, which needs both: every adapter passes it.
import type { Test } from 'tap';
import { StartError } from '../../src/errors.ts';
import type { LogRecord, NodeReport } from '../../src/ports/log-record.ts';
import { EpochError, type MessageStore } from '../../src/ports/store.ts';
import type { Millis } from '../../src/protocol/ids.ts';
import { eventually } from '../kit/waiting.ts';
import { everything, expected, same } from './store.ts';
import { conv, randomBatches, randomChanges, Writer } from './store-model.ts';

export interface LogRecordUnderTest {
  readonly logRecord: LogRecord;
  /** The store whose watermark stands in the record. */
  readonly messages: MessageStore;
  /** Another process at the same database. */
  readonly other: () => Promise<Omit<LogRecordUnderTest, 'other' | 'reopen'>>;
  /** Closes and opens again what is stored; absent where nothing survives. */
  readonly reopen?: () => Promise<LogRecord>;
}

const LONG: Millis = 600_000;
const PARTS = 4;
const NEVER = { epoch: 0, opened: 0, stored: 0, latestKeyMs: 0 };
const c1 = conv('c1');

function reportOf(node: string, fields: Partial<NodeReport> = {}): NodeReport {
  return { node, runs: ['run', null], epochs: [], seen: [7, 0], persists: true, ...fields };
}

export function logRecordContract(t: Test, open: (t: Test) => Promise<LogRecordUnderTest>): void {
  t.test('law 1: the first open decides id and parts; every later one gets the same', async (t) => {
    const { logRecord, other } = await open(t);
    const first = await logRecord.open(PARTS);
    t.equal(first.parts, PARTS);
    t.match(first.id, /^[A-Za-z0-9_-]{4,16}$/);
    same(t, await logRecord.open(PARTS), first);
    same(t, await (await other()).logRecord.open(PARTS), first);
  });

  t.test('law 1: of many first opens at once one decides', async (t) => {
    const { logRecord, other } = await open(t);
    const records = [logRecord, (await other()).logRecord];
    const opened = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (records[index % 2] as LogRecord).open(PARTS)),
    );
    t.equal(new Set(opened.map(({ id }) => id)).size, 1);
  });

  t.test('law 1: two logs never share an id', async (t) => {
    const [one, two] = [await open(t), await open(t)];
    t.not((await one.logRecord.open(PARTS)).id, (await two.logRecord.open(PARTS)).id);
  });

  t.test('law 1: other parts are refused in one line, and nothing has changed', async (t) => {
    const { logRecord } = await open(t);
    const first = await logRecord.open(PARTS);
    const refused = await logRecord.open(PARTS * 2).catch((error: unknown) => error);
    t.ok(refused instanceof StartError);
    t.match((refused as Error).message, /^log_parts: [^\n]*\b4\b[^\n]*\b8\b[^\n]*$/);
    same(t, await logRecord.open(PARTS), first);
  });

  t.test('law 2: no part has an epoch before one begins', async (t) => {
    const { logRecord } = await open(t);
    await logRecord.open(PARTS);
    same(t, await logRecord.epochs(), [NEVER, NEVER, NEVER, NEVER]);
  });

  t.test('law 2: an epoch begins one after the other, each part for itself', async (t) => {
    const { logRecord } = await open(t);
    await logRecord.open(PARTS);
    for (const from of [0, 1, 2]) same(t, await logRecord.beginEpoch(1, from), { ...NEVER, epoch: from + 1 });
    same(t, await logRecord.beginEpoch(3, 0), { ...NEVER, epoch: 1 });
    const epochs = (await logRecord.epochs()).map(({ epoch }) => epoch);
    same(t, epochs, [0, 3, 0, 1]);
  });

  t.test('law 2: from another number than the one that holds nothing moves, and that one is told', async (t) => {
    const { logRecord } = await open(t);
    await logRecord.open(PARTS);
    await logRecord.beginEpoch(0, 0);
    await logRecord.beginEpoch(0, 1);
    for (const from of [0, 1, 3, 9]) same(t, await logRecord.beginEpoch(0, from), { ...NEVER, epoch: 2 });
  });

  t.test('law 2: of many callers from one number one moves it, and all get the number that holds', async (t) => {
    const { logRecord, other } = await open(t);
    await logRecord.open(PARTS);
    const records = [logRecord, (await other()).logRecord];
    for (const from of [0, 1, 2]) {
      const begun = Array.from({ length: 12 }, (_, index) => (records[index % 2] as LogRecord).beginEpoch(2, from));
      same(t, new Set((await Promise.all(begun)).map(({ epoch }) => epoch)), new Set([from + 1]));
    }
  });

  t.test('law 2: told of a higher epoch, the next one comes after that', async (t) => {
    const { logRecord } = await open(t);
    await logRecord.open(PARTS);
    await logRecord.beginEpoch(0, 0);
    same(t, await logRecord.beginEpoch(0, 1, 7), { ...NEVER, epoch: 8 });
    same(t, await logRecord.beginEpoch(0, 1, 20), { ...NEVER, epoch: 8 }, 'only from the number that holds');
    same(t, await logRecord.beginEpoch(0, 8, 3), { ...NEVER, epoch: 9 }, 'never a lower one');
  });

  t.test('law 2: an epoch that has begun is open once that is told, and only while it is the latest', async (t) => {
    const { logRecord, other } = await open(t);
    await logRecord.open(PARTS);
    await logRecord.openEpoch(0, 1);
    same(t, (await logRecord.epochs())[0], NEVER, 'none has begun');
    await logRecord.beginEpoch(0, 0);
    await (await other()).logRecord.openEpoch(0, 1);
    same(t, (await logRecord.epochs())[0], { ...NEVER, epoch: 1, opened: 1 });
    same(t, await logRecord.beginEpoch(0, 1), { ...NEVER, epoch: 2, opened: 1 });
    await logRecord.openEpoch(0, 1);
    same(t, (await logRecord.epochs())[0], { ...NEVER, epoch: 2, opened: 1 });
    await logRecord.openEpoch(0, 2);
    same(t, (await logRecord.epochs())[0], { ...NEVER, epoch: 2, opened: 2 });
  });

  t.test('the record tells the latest time that a stored key of a part carries', async (t) => {
    const { logRecord, messages } = await open(t);
    await logRecord.open(PARTS);
    const writer = new Writer();
    writer.create(c1);
    const times = [5_000, 1_000, 9_000, 2_000];
    for (const ms of times) writer.say(c1, 'text', {}, uuidAt(ms));
    await messages.apply(writer.changes.slice(0, 3), [3]);
    same(
      t,
      (await logRecord.epochs()).map(({ latestKeyMs }) => latestKeyMs),
      [5_000, 0, 0, 0],
    );
    await messages.apply(writer.changes, [5]);
    same(t, (await logRecord.epochs())[0]?.latestKeyMs, 9_000);
  });

  t.test('law 3: a node is live with its last report until it leaves', async (t) => {
    const { logRecord, other } = await open(t);
    const elsewhere = (await other()).logRecord;
    await logRecord.keepAlive(reportOf('a'), LONG);
    await elsewhere.keepAlive(reportOf('b'), LONG);
    const later = reportOf('a', { runs: [null, 'other'], seen: [9, 3], persists: false });
    await logRecord.keepAlive(later, LONG);
    same(t, await live(logRecord), [later, reportOf('b')]);
    same(t, await live(elsewhere), [later, reportOf('b')]);
    await elsewhere.leave('b');
    await elsewhere.leave('never-there');
    same(t, await live(logRecord), [later]);
  });

  t.test('law 3: a report is taken as it is, whatever it is called', async (t) => {
    const { logRecord } = await open(t);
    const reports = ['$where', 'a.b', '__proto__', 'ä "quoted"'].map((name) => reportOf(name, { runs: [name] }));
    for (const report of reports) await logRecord.keepAlive(report, LONG);
    same(t, await live(logRecord), inOrder(reports));
  });

  t.test('law 3: a lease runs out, and begins again', async (t) => {
    const { logRecord } = await open(t);
    await logRecord.keepAlive(reportOf('a'), 1);
    await logRecord.keepAlive(reportOf('b'), LONG);
    await eventually(async () => (await logRecord.liveNodes()).length === 1);
    same(t, await live(logRecord), [reportOf('b')]);
    await logRecord.keepAlive(reportOf('a'), LONG);
    same(t, await live(logRecord), [reportOf('a'), reportOf('b')]);
  });

  t.test('law 4: the record tells what the store holds, and an epoch begins there', async (t) => {
    const { logRecord, messages } = await open(t);
    await logRecord.open(PARTS);
    await logRecord.beginEpoch(0, 0);
    const changes = randomChanges(4, 30);
    await messages.apply(changes, [30], [1]);
    same(t, (await logRecord.epochs())[0], { ...NEVER, epoch: 1, stored: 30 });
    same(t, await logRecord.beginEpoch(0, 1), { ...NEVER, epoch: 2, stored: 30 });
    same(t, await messages.watermark(), [30]);
  });

  t.test('law 4 (10 of the store): a batch of an epoch that has ended is refused as a whole', async (t) => {
    const { logRecord, messages } = await open(t);
    await logRecord.open(PARTS);
    const writer = new Writer();
    writer.create(c1);
    await logRecord.beginEpoch(0, 0);
    await messages.apply(writer.changes, [1], [1]);
    const lost = writer.say(c1, 'lost');
    await logRecord.beginEpoch(0, 1);
    for (const epochs of [[1], [0], [], [3], undefined]) {
      await t.rejects(messages.apply([lost], [2], epochs), EpochError, `${epochs}`);
    }
    same(t, await messages.watermark(), [1]);
    same(t, await everything(messages, writer.changes), expected(writer.changes.slice(0, 1)));
    const hole = { ...writer.say(c1, 'after a hole'), offset: 9 };
    await t.rejects(messages.apply([hole], [9], [1]), EpochError, 'not taken for a hole');
    await messages.apply([lost], [2], [2]);
    same(t, await messages.watermark(), [2]);
  });

  t.test('law 4 (10 of the store): a part is bound by its own epoch only', async (t) => {
    const { logRecord, messages } = await open(t);
    await logRecord.open(PARTS);
    const writer = new Writer();
    const creation = writer.create(c1);
    await logRecord.beginEpoch(3, 0);
    await messages.apply([creation], [1, 0, 0, 0], [0, 0, 0, 7]);
    const elsewhere = { ...writer.create(conv('c2')), part: 3, offset: 1 };
    await t.rejects(messages.apply([elsewhere], [1, 0, 0, 1], [0, 0, 0, 7]), EpochError);
    await messages.apply([elsewhere], [1, 0, 0, 1], [0, 0, 0, 1]);
    same(t, await messages.watermark(), [1, 0, 0, 1]);
  });

  for (const seed of [1, 2, 3, 4]) {
    t.test(`law 4: while batches are applied, nothing is stored after an epoch has begun (seed ${seed})`, async (t) => {
      const { logRecord, messages, other } = await open(t);
      await logRecord.open(PARTS);
      await logRecord.beginEpoch(0, 0);
      const elsewhere = await other();
      const changes = randomChanges(seed, 120);
      const batches = randomBatches(seed, changes, 6);
      const begun = Promise.withResolvers<number>();
      const applied: Promise<unknown>[] = [];
      for (const [index, batch] of batches.entries()) {
        const upTo = [batch.at(-1)?.offset ?? 0];
        applied.push(messages.apply(batch, upTo, [1]).catch((error: unknown) => error));
        if (index === seed * 3) {
          elsewhere.logRecord.beginEpoch(0, 1).then(({ stored }) => begun.resolve(stored), begun.reject);
        }
      }
      const stored = await begun.promise;
      const failures = (await Promise.all(applied)).filter((failure) => failure !== undefined);
      t.ok(failures.every((failure) => failure instanceof EpochError));
      same(t, await messages.watermark(), stored === 0 ? [0] : [stored]);
      same(t, await everything(messages, changes.slice(0, stored)), expected(changes.slice(0, stored)));
      await elsewhere.messages.apply(changes, [changes.length], [2]);
      same(t, await everything(messages, changes), expected(changes));
    });
  }

  t.test('law 5: identity, epochs and leases are there after everything is opened again', async (t) => {
    const { logRecord, reopen } = await open(t);
    if (reopen === undefined) return t.pass('nothing survives this adapter, by design');
    const identity = await logRecord.open(PARTS);
    await logRecord.beginEpoch(2, 0);
    await logRecord.keepAlive(reportOf('a'), LONG);
    const again = await reopen();
    same(t, await again.open(PARTS), identity);
    same(t, (await again.epochs())[2], { ...NEVER, epoch: 1 });
    same(t, await live(again), [reportOf('a')]);
  });
}

/** A UUIDv7 of a moment. */
function uuidAt(ms: Millis): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}

async function live(record: LogRecord): Promise<readonly NodeReport[]> {
  return inOrder(await record.liveNodes());
}

function inOrder(reports: readonly NodeReport[]): readonly NodeReport[] {
  return [...reports].sort((one, other) => (one.node < other.node ? -1 : 1));
}
