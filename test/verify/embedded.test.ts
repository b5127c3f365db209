// `verify` on a data folder: it finds nothing where nothing is wrong, beside a server too, and each tampering is named; what
// is a view is mended, and nothing else.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { withoutContent } from '../../src/protocol/changes.ts';
import { server } from '../kit/index.ts';
import { temporaryFolder } from '../kit/process.ts';
import { audited, fill, type Scene, verified } from './scene.ts';

t.setTimeout(600_000);

interface Filled {
  readonly dataDir: string;
  readonly scene: Scene;
}

/** A stopped server's folder: of one that was killed, its log holds changes still. */
async function filled(t: Test, signal: NodeJS.Signals): Promise<Filled> {
  const host = await server(t);
  const scene = await fill(host);
  await host.stop(signal);
  return { dataDir: host.process.dataDir, scene };
}

interface Tampering {
  readonly what: string;
  readonly file?: 'log.db' | 'store.db';
  /** With :name for what the scene calls so. */
  readonly sql: string;
  /** The lines, in any order; one for each. */
  readonly finds: readonly RegExp[];
  /** Whether `--repair` makes it right again. */
  readonly isView?: true;
}

const LOG = { file: 'log.db' } as const;
const VIEW = { isView: true } as const;

const TAMPERINGS: readonly Tampering[] = [
  // The log.
  {
    ...LOG,
    what: 'an entry is gone',
    sql: 'DELETE FROM log WHERE offset = 20',
    finds: [/^log: part 0: entry 20 is missing/],
  },
  {
    ...LOG,
    what: 'its end is gone',
    sql: 'DELETE FROM log WHERE offset > 20',
    finds: [/^watermark: part 0: the log ends at 20, before the watermark/],
  },
  {
    ...LOG,
    what: 'it was trimmed too far',
    sql: 'UPDATE meta SET trimmed = 1000',
    finds: [/^watermark: part 0: the log begins after 1000, beyond/],
  },
  {
    ...LOG,
    what: 'an entry is no change',
    sql: "UPDATE log SET wire = 'nothing' WHERE offset = 20",
    finds: [/^log: part 0, change 20: an entry here is none/],
  },
  {
    ...LOG,
    what: 'an entry says something else',
    sql: "UPDATE log SET wire = replace(wire, 'message 3\"', 'message 4\"') WHERE wire LIKE '%message 3\"%'",
    finds: [/^stored: part 0, conversation \S+, change \d+: store and log differ in content/],
  },
  {
    ...LOG,
    what: 'an entry has another number',
    sql: 'UPDATE log SET wire = replace(wire, \'"n":7,\', \'"n":70,\') WHERE wire LIKE \'%"n":7,%\'',
    finds: [
      /^stored: .* differ in n, content/,
      /^log: .* its number as a message is 70, after 6/,
      /^log: .* is 8, after 70/,
    ],
  },
  // What the store keeps for ever.
  {
    what: 'a change is gone',
    sql: 'DELETE FROM changes WHERE conv = :group AND seq = :plain',
    finds: [/^stored: .* it is not stored, and the watermark/, /^changes: .* it is missing/],
  },
  {
    what: 'the last change is gone',
    sql: 'DELETE FROM changes WHERE conv = :group AND seq = (SELECT max(seq) FROM changes WHERE conv = :group)',
    finds: [/^count: /, /^stored: /, /^view: .*differs in head/],
  },
  {
    what: 'a conversation is gone',
    sql: 'DELETE FROM changes WHERE conv = :room',
    finds: [
      /^count: part 0: the store holds \d+ changes, and its watermark is \d+/,
      /^view: conversation \S+: the conversation is in the view, and no change made it/,
    ],
  },
  {
    what: 'a change that nobody appended',
    sql: 'INSERT INTO changes SELECT conv, seq + 1, 0, \'pin\', user, \'invented-key\', at, replace(\'{"t":"pin","conv":"C","seq":\' || (seq + 1) || \',"from":"\' || user || \'","at":\' || at || \',"key":"invented-key","of":4,"on":true}\', \'C\', conv), NULL, NULL FROM changes WHERE conv = :group ORDER BY seq DESC LIMIT 1',
    finds: [/^count: part 0: the store holds \d+ changes, and the log gave it at most/],
  },
  {
    what: 'a number is another',
    sql: 'UPDATE changes SET n = 99 WHERE conv = :group AND seq = :plain',
    finds: [/^stored: .* differ in n/, /^changes: .* its number as a message is 99, and/, /^changes: .* differ in n/],
  },
  {
    what: 'a time goes back',
    sql: 'UPDATE changes SET at = 1 WHERE conv = :group AND seq = :plain',
    finds: [/^stored: .* differ in at/, /^changes: .* its time 1 is before/, /^changes: .* differ in at/],
  },
  {
    what: 'a sender is another',
    sql: "UPDATE changes SET user = 'nobody' WHERE conv = :group AND seq = :plain",
    finds: [/^stored: .* differ in from/, /^changes: .* differ in from/, /^users: user nobody: /],
  },
  {
    what: 'a key is another',
    sql: "UPDATE changes SET key = 'another-key' WHERE conv = :group AND seq = :plain",
    finds: [/^stored: .* differ in key/, /^changes: .* differ in key/],
  },
  {
    what: 'a key stands for two changes',
    sql: "DROP INDEX changes_key; UPDATE changes SET user = 'u', key = 'the-same-key' WHERE conv = :group AND seq IN (3, 5)",
    finds: [/^keys: .* an earlier change of its sender has its key/],
  },
  {
    what: 'a text is another',
    sql: "UPDATE changes SET wire = replace(wire, 'answer', 'question') WHERE conv = :group AND seq = :plain",
    finds: [/^stored: .* differ in content/],
  },
  {
    what: 'a wire text is cut off',
    sql: 'UPDATE changes SET wire = substr(wire, 1, 50) WHERE conv = :group AND seq = :plain',
    finds: [/^changes: .* its wire text cannot be read/],
  },
  {
    what: 'an answer to nothing',
    sql: 'UPDATE changes SET wire = replace(wire, \'"reply":\', \'"reply":9\') WHERE conv = :group AND seq = :plain',
    finds: [/^references: .* it answers 9\d+, which/],
  },
  {
    what: 'an edit of nothing',
    sql: "UPDATE changes SET wire = replace(wire, '\"of\":', '\"of\":9') WHERE conv = :group AND type = 'edit'",
    finds: [/^references: .* no message 9\d+ stands before it/],
  },
  {
    what: 'a deleted text is back',
    sql: 'UPDATE changes SET wire = replace(wire, \'"text":"","deleted":true\', \'"text":"back"\') WHERE conv = :group AND seq = :deleted',
    finds: [/^erased: .* its content is there, and its message has been deleted/],
  },
  {
    what: 'a text is gone that nobody deleted',
    sql: `UPDATE changes SET wire = json_set(json_remove(wire, '$.text'), '$.text', '', '$.deleted', json('true')) WHERE conv = :group AND seq = :plain`,
    finds: [/^erased: .* its content is gone, and nobody/],
  },
  // The watermark.
  {
    what: 'the watermark is too high',
    sql: 'UPDATE watermark SET offset = offset + 5',
    finds: [/^watermark: part 0: the log ends at \d+, before/, /^count: /],
  },
  // The views.
  {
    ...VIEW,
    what: 'a head',
    sql: 'UPDATE convs SET seq = seq - 1, n = 2, guard = 1 WHERE conv = :group',
    finds: [/^view: conversation \S+: the conversation differs in head/],
  },
  {
    ...VIEW,
    what: 'a number of members',
    sql: 'UPDATE convs SET members = 77 WHERE conv = :group',
    finds: [/^view: .* differs in members/],
  },
  {
    ...VIEW,
    what: 'a title',
    sql: "UPDATE convs SET state = json_set(state, '$.title', 'Theirs') WHERE conv = :group",
    finds: [/^view: .* differs in state\.title/],
  },
  {
    ...VIEW,
    what: 'a state that is none',
    sql: "UPDATE convs SET state = 'x' WHERE conv = :group",
    finds: [/^view: .* differs in .*state\.kind/],
  },
  {
    ...VIEW,
    what: 'the directory of rooms',
    sql: 'UPDATE convs SET listed = 0 WHERE conv = :room',
    finds: [/^view: .* differs in listed/],
  },
  {
    ...VIEW,
    what: 'a conversation that is not deleted',
    sql: 'UPDATE convs SET deleted = 0 WHERE deleted = 1',
    finds: [/^view: .* differs in deleted/],
  },
  {
    ...VIEW,
    what: 'a conversation without its row',
    sql: 'DELETE FROM convs WHERE conv = :group',
    finds: [/^view: .* the conversation is missing in the view/],
  },
  {
    ...VIEW,
    what: 'a conversation nobody made',
    sql: "INSERT INTO convs (conv, seq, n, guard, at) VALUES ('invented', 1, 0, 1, 1)",
    finds: [/^view: conversation invented: the conversation is in the view, and no change/],
  },
  {
    ...VIEW,
    what: 'a member too many',
    sql: "UPDATE members SET role = 'member' WHERE conv = :group AND role = 'none'",
    finds: [/^view: conversation \S+, user \S+: the membership differs in role, active/],
  },
  {
    ...VIEW,
    what: 'an owner too few',
    sql: "UPDATE members SET role = 'member' WHERE conv = :group AND role = 'owner'",
    finds: [/^view: .* the membership differs in role/],
  },
  {
    ...VIEW,
    what: 'a member gone',
    sql: "DELETE FROM members WHERE conv = :group AND role = 'owner'",
    finds: [/^view: .* the membership is missing/],
  },
  {
    ...VIEW,
    what: 'a member nobody let in',
    sql: "INSERT INTO members VALUES (:group, 'stranger', 'member', 3)",
    finds: [/^view: .* user stranger: the membership is in the view/],
  },
  {
    ...VIEW,
    what: 'the rev of a membership',
    sql: 'UPDATE members SET rev = rev + 1 WHERE conv = :group',
    finds: [/^view: .* the membership differs in rev/],
  },
  {
    ...VIEW,
    what: 'an edited text',
    sql: "UPDATE touched SET state = json_set(state, '$.text', 'theirs') WHERE conv = :group AND seq = :edited",
    finds: [/^view: conversation \S+, change \d+: the state of its message differs in state\.text/],
  },
  {
    ...VIEW,
    what: 'the rev of a message',
    sql: 'UPDATE touched SET rev = rev + 1 WHERE conv = :group AND seq = :edited',
    finds: [/^view: .* differs in rev/],
  },
  {
    ...VIEW,
    what: 'a state is gone',
    sql: 'DELETE FROM touched WHERE conv = :group AND seq = :edited',
    finds: [/^view: .* the state of its message is missing/],
  },
  {
    ...VIEW,
    what: 'a state of what nothing touched',
    sql: "INSERT INTO touched VALUES (:group, :plain, 9, '{}')",
    finds: [/^view: .* is in the view, and no change made it/],
  },
  {
    ...VIEW,
    what: 'a message that hides its state',
    sql: 'UPDATE changes SET touched = NULL WHERE conv = :group AND seq = :edited',
    finds: [/^view: .* for the views differs in isOwnState/],
  },
  {
    ...VIEW,
    what: 'a message that has none',
    sql: 'UPDATE changes SET touched = 1 WHERE conv = :group AND seq = :plain',
    finds: [/^view: .* for the views differs in isOwnState/],
  },
  {
    ...VIEW,
    what: 'an edit that is not found',
    sql: "UPDATE changes SET of = NULL WHERE type = 'edit'",
    finds: [/^view: .* for the views differs in of/],
  },
  {
    ...VIEW,
    what: 'a mark beyond the head',
    sql: 'UPDATE marks SET read = 500, received = 501 WHERE conv = :group',
    finds: [/^marks: conversation \S+, user \S+: it has read 500 and received 501 of \d+ messages/],
  },
  // The files.
  {
    what: 'an index that lacks a row',
    sql: "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '''none''', '''nobody''') WHERE name = 'members_user'",
    finds: [/^files: store\.db: /],
  },
];

/** The log gets back what it has let go of: everything is in both. */
function untrim({ dataDir }: Filled): void {
  const db = new DatabaseSync(join(dataDir, 'log.db'));
  db.exec(`ATTACH '${join(dataDir, 'store.db')}' AS store`);
  db.exec('DELETE FROM log');
  db.exec('INSERT INTO log SELECT row_number() OVER (ORDER BY at, conv, seq), wire FROM store.changes');
  db.exec('UPDATE meta SET trimmed = 0');
  db.close();
}

/** What the scene calls by a name. */
function written(sql: string, scene: Scene): string {
  const { group, room, plain, edited, deleted } = scene;
  const values: Record<string, string | number> = { group: `'${group}'`, room: `'${room}'`, plain, edited, deleted };
  return sql.replaceAll(/:(group|room|plain|edited|deleted)/g, (_, name: string) => String(values[name]));
}

async function tamper(t: Test, { dataDir, scene }: Filled, { file = 'store.db', sql }: Tampering): Promise<string> {
  const copy = await temporaryFolder(t);
  await cp(dataDir, copy, { recursive: true });
  const db = new DatabaseSync(join(copy, file), { defensive: false });
  db.exec(written(sql, scene));
  db.close();
  return copy;
}

t.test('a folder of a server that ended, or was killed, agrees with itself', async (t) => {
  for (const [signal, seen] of [
    ['SIGTERM', /\nlooked at 63 changes of 5 conversations in the store, and \d+ in the log\n$/],
    ['SIGKILL', /\nlooked at \d+ changes of \d conversations in the store, and \d+ in the log\n$/],
  ] as const) {
    const { dataDir } = await filled(t, signal);
    const { code, stdout, stderr } = await verified(t, { dataDir });
    t.match(stdout, /^log, store and watermarks agree\n/);
    t.match(stdout, seen);
    t.same([code, stderr], [0, '']);
  }
});

t.test('each tampering is found and named; what is a view is mended, and nothing else', async (t) => {
  const world = await filled(t, 'SIGTERM');
  untrim(world);
  for (const tampering of TAMPERINGS) {
    await t.test(tampering.what, async (t) => {
      const env = { CHAT_DATA: await tamper(t, world, tampering) };
      const found = await audited(env);
      for (const line of tampering.finds)
        t.ok(
          found.lines.some((other) => line.test(other)),
          String(line),
        );
      t.ok(found.summary.open > 0);
      t.comment(found.lines.join('\n'));
      // What the store itself cannot be opened with ends a repair.
      const mended = await audited(env, true).catch((error: Error) => error.message);
      const left = await audited(env);
      if (!tampering.isView) t.ok(left.summary.open > 0, 'it stays, and is told again');
      else t.match([mended, left.lines.length], [{ summary: { open: 0 } }, 0], 'it is mended');
    });
  }
});

t.test('a watermark that is gone is told of where the log has let go of what it stood for', async (t) => {
  const { dataDir } = await filled(t, 'SIGTERM');
  const log = new DatabaseSync(join(dataDir, 'log.db'));
  log.exec('DELETE FROM log; UPDATE meta SET trimmed = 63');
  log.close();
  const store = new DatabaseSync(join(dataDir, 'store.db'));
  store.exec('DELETE FROM watermark');
  store.close();
  const { lines } = await audited({ CHAT_DATA: dataDir });
  t.match(lines, [/^watermark: part 0: the log begins after 63, beyond the watermark 0$/]);
});

t.test('a change that was set aside, since the store could not take it, is no fault', async (t) => {
  const world = await filled(t, 'SIGTERM');
  untrim(world);
  const db = new DatabaseSync(join(world.dataDir, 'store.db'));
  const { group, plain } = world.scene;
  const set = db.prepare('UPDATE changes SET key = NULL, wire = ? WHERE conv = ? AND seq = ?');
  const row = db.prepare('SELECT wire FROM changes WHERE conv = ? AND seq = ?').get(group, plain);
  set.run(withoutContent(row?.wire as string), group, plain);
  db.close();
  t.same((await audited({ CHAT_DATA: world.dataDir })).lines, []);
});
