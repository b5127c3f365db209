// The replay example on real texts in each of its formats: all of it there, in its order, as its authors wrote it, and once
// however often it is run or cut off.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { formatOf, readLines } from '../../examples/replay/formats.ts';
import { usernameOf } from '../../examples/replay/people.ts';
import { type Client, server } from '../kit/index.ts';

const PROGRAM = new URL('../../examples/replay.ts', import.meta.url).pathname;
const TALKS = new URL('../examples/talks/', import.meta.url).pathname;
const PASSWORD = 'correct horse battery';
const run = promisify(execFile);

t.setTimeout(240_000);

const s = await server(t, { cheapPasswords: true });
const reader = await s.client('reader');

function words(file: string): string[] {
  return [PROGRAM, join(TALKS, file), '--url', s.url, '--password', PASSWORD];
}

/** The public rooms by title; the reader enters them. */
async function rooms(): Promise<ReadonlyMap<string, string>> {
  const { body } = await reader.http('GET', 'rooms?limit=100');
  const items = body.items as { conv: string; title: string }[];
  for (const { conv } of items) await reader.request({ t: 'join', conv });
  return new Map(items.map(({ conv, title }) => [title, conv]));
}

async function said(client: Client, conv: string): Promise<readonly string[]> {
  const messages = await client.allMessages(conv);
  const ids = [...new Set(messages.map(({ from }) => from))];
  const { body } = await client.http('GET', `users?ids=${ids.join(',')}&limit=100`);
  const names = new Map((body.items as { id: string; name: string }[]).map(({ id, name }) => [id, name]));
  return messages.map(({ from, text }) => `${names.get(from)}: ${text}`);
}

async function wanted(file: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const lines = await Array.fromAsync(readLines(join(TALKS, file)));
  const byRoom = Map.groupBy(lines, ({ room }) => room);
  return new Map([...byRoom].map(([room, all]) => [room, all.map(({ from, text }) => `${usernameOf(from)}: ${text}`)]));
}

for (const file of ['debian.mbox', 'channel.log', 'chat.jsonl']) {
  t.test(`${file}: every message once, in order, by its author; run again nothing is added`, async (t) => {
    const expected = await wanted(file);
    t.ok([...expected.values()].flat().length > 60, 'there is something to say');
    for (const time of ['first', 'second']) {
      const { stderr } = await run(process.execPath, words(file));
      t.match(stderr, /\d+ messages, \d+ rooms, \d+ people/, `the ${time} time it says what it did`);
      const found = await rooms();
      for (const [room, messages] of expected)
        t.same(await said(reader, found.get(room) ?? ''), messages, `${room}, the ${time} time`);
    }
  });
}

t.test('a replay that is killed goes on where it was when it is run again', async (t) => {
  const args = [...words('debian.mbox'), '--room', 'cut'];
  const killed = spawn(process.execPath, args, { stdio: 'ignore' });
  const owner = await s.client('watcher');
  for (let conv: string | undefined; conv === undefined; ) conv = (await rooms()).get('cut');
  const conv = (await rooms()).get('cut') ?? '';
  await owner.request({ t: 'join', conv });
  await owner.next('message', { conv });
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const before = await said(reader, conv);
  await run(process.execPath, args);
  const after = await said(reader, conv);
  t.ok(before.length < after.length, `${before.length} of ${after.length} were there`);
  t.same(after, [...(await wanted('debian.mbox')).values()].flat());
});

t.test('what is none of the formats is refused in one line', async (t) => {
  t.equal(formatOf('From ann Thu Apr 06 11:48:13 1995'), 'mbox');
  t.equal(formatOf('[12:00:01] <@ann> hello'), 'irc');
  t.equal(formatOf('{"from":"ann","text":"hello"}'), 'jsonl');
  t.equal(formatOf('hello'), undefined);
  const failure = await run(process.execPath, [PROGRAM, PROGRAM, '--url', s.url, '--password', PASSWORD]).catch(
    (error) => error,
  );
  t.match(failure, { code: 2, stderr: /is no mbox, no IRC log and no JSON lines; it begins with "#!/ });
  t.notMatch(failure.stderr, / at /);
});
