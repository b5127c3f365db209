// What the tests of verify look at: a server's data after people have done everything that leaves a trace in it.
import { lineOf, type Summary, verifyAll } from '../../src/app/audit.ts';
import { readConfig } from '../../src/config.ts';
import type { Finding } from '../../src/verify/index.ts';
import type { Client } from '../kit/client.ts';
import { type Program, startProgram } from '../kit/process.ts';

/** A server or a node of one. */
export interface Door {
  clients<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ -readonly [Index in keyof Names]: Client }>;
}

export interface Scene {
  readonly ann: Client;
  readonly bob: Client;
  readonly cid: Client;
  readonly group: string;
  readonly room: string;
  /** In the group: a message that nothing has touched, an edited one, a deleted one that was edited before. */
  readonly plain: number;
  readonly edited: number;
  readonly deleted: number;
}

/** Messages, answers, edits, deletions, people who come, go, are invited, kicked and promoted, titles, marks. */
export async function fill(door: Door): Promise<Scene> {
  const [ann, bob, cid] = await door.clients('ann', 'bob', 'cid');
  const group = await ann.group([bob, cid], { title: 'The Three' });
  await ann.direct(bob);
  const first = await ann.send(group, 'the first of them, for @bob');
  for (let index = 0; index < 40; index++) await (index % 2 === 0 ? ann : bob).send(group, `message ${index}`);
  const plain = await bob.send(group, 'an answer', { reply: first.seq });
  const edited = await ann.send(group, 'to be mended');
  await ann.edit(group, edited.seq, 'mended, @cid');
  await ann.edit(group, edited.seq, 'mended again');
  const deleted = await bob.send(group, 'to be regretted, @all');
  await bob.edit(group, deleted.seq, 'to be regretted more');
  await ann.remove(group, deleted.seq);
  await cid.read(group, first.n);
  await ann.kick(group, cid);
  await ann.http('PATCH', `conversations/${group}`, { title: 'The Two', topic: 'Who is next' });
  return {
    ann,
    bob,
    cid,
    group,
    room: await fillRoom(ann, bob, cid),
    plain: plain.seq,
    edited: edited.seq,
    deleted: deleted.seq,
  };
}

async function fillRoom(ann: Client, bob: Client, cid: Client): Promise<string> {
  const room = await ann.room({ title: 'Open House' });
  await bob.join(room);
  await cid.join(room);
  await ann.setRole(room, bob, 'moderator');
  await bob.send(room, 'welcome');
  await cid.leave(room);
  await ann.add(room, cid);
  const gone = await bob.room({ title: 'Closed' });
  await bob.http('DELETE', `conversations/${gone}`);
  const secret = await ann.room({ title: 'Secret', public: false });
  await ann.add(secret, bob);
  return room;
}

interface Owner {
  teardown(end: () => unknown): void;
}

export interface Verified {
  readonly code: number | null;
  /** One a finding. */
  readonly findings: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
}

/** As an operator runs it. */
export async function verified(
  t: Owner,
  place: { readonly dataDir?: string; readonly env?: Readonly<Record<string, string>> },
  ...words: readonly string[]
): Promise<Verified> {
  return ended(await startVerify(t, place, ...words));
}

export function startVerify(
  t: Owner,
  place: { readonly dataDir?: string; readonly env?: Readonly<Record<string, string>> },
  ...words: readonly string[]
): Promise<Program> {
  return startProgram(t, { ...place, args: ['verify', ...words] });
}

const FINDING = /^(?:files|record|watermark|log|stored|count|heads|keys|changes|references|erased|view|users|marks): /;

export async function ended(program: Program): Promise<Verified> {
  const { code } = await program.exited;
  const { stdout, stderr } = program;
  return { code, stdout, stderr, findings: stdout.split('\n').filter((line) => FINDING.test(line)) };
}

/** The same within this process: for hundreds of them. */
export async function audited(
  env: Readonly<Record<string, string>>,
  repair = false,
): Promise<{ readonly lines: readonly string[]; readonly summary: Summary }> {
  const lines: string[] = [];
  const onFinding = (finding: Finding) => lines.push(lineOf(finding));
  const summary = await verifyAll(readConfig(env), { repair, onFinding, onProgress: () => {} });
  return { lines, summary };
}
