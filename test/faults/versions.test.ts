// A newer version has written what this one does not know: changes of unknown types, unknown acts of membership. They keep
// their place, are stored and handed on as they are, and otherwise passed over.
import t, { type Test } from 'tap';
import { type Account, Client, call, type Host } from '../kit/client.ts';
import { cluster } from '../kit/nodes.ts';
import { Ledger } from '../kit/observer.ts';
import { startServer, temporaryFolder } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';
import type { Place } from './run.ts';

t.setTimeout(120_000);

const NODE_ARGS = ['--import', new URL('./newer-version.ts', import.meta.url).href];
const NEWER = { NEWER_VERSION: '1' };

/** To the observer what it does not know is a gap. */
const IS_GAP =
  /seq \d+ came after \d+ \((?:live|replaying)\)|caught_up \d+ came at|the time of|came to somebody outside/;

function hostAt({ url, socketUrl }: Place, t: Test): Host {
  const fault = (text: string) => void (IS_GAP.test(text) || t.fail(text));
  return { url, socketUrl, ledger: new Ledger(), fault };
}

async function register(host: Host, username: string): Promise<Account> {
  const fields = { email: `${username}@example.org`, username, password: 'correct horse battery' };
  const { body } = await call(host, 'POST', 'auth/register', fields);
  const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
  return { id: user.id, name: username, access, refresh };
}

const WRITTEN = ['hello', '/poll lunch?', 'well?', '/shadow', 'the end'];
const KNOWN = ['hello', 'well?', 'the end'];

async function writeAll(client: Client, conv: string): Promise<void> {
  for (const text of WRITTEN) await client.ask('ok', { t: 'message', conv, text });
}

/** What an older version makes of it. */
async function readAll(t: Test, client: Client, conv: string): Promise<void> {
  const texts = (await client.allMessages(conv)).map(({ text }) => text);
  t.same(texts, KNOWN, 'the messages are there');
  const pages = await client.pull(conv);
  t.match(pages.at(-1), { to: WRITTEN.length + 1, head: WRITTEN.length + 1, more: false }, 'all of it is numbered');
  const roles = pages.flatMap(({ items }) => items.flatMap((item) => (item.is === 'member' ? [item.role] : [])));
  t.same(roles.sort(), ['member', 'owner'], 'members are what they were');
}

t.test(
  'two versions on one cluster: the older one passes over what it does not know, live, stored and read',
  async (t) => {
    const world = await cluster(t, { nodeArgs: NODE_ARGS });
    const [newer, older] = world.pair;
    await newer.restart();
    await newer.kill('SIGTERM');
    await newer.start(NEWER);
    const [there, here] = [hostAt(newer, t), hostAt(older, t)];
    const [ann, bob] = await Promise.all([register(there, 'ann'), register(here, 'bob')]);
    const annThere = await Client.arrive(there, ann);
    const bobHere = await Client.arrive(here, bob);
    const { body } = await annThere.http('POST', 'conversations', { kind: 'group', members: [bob.id] });
    const { conv } = body;
    await bobHere.next('conv');
    await writeAll(annThere, conv);
    await bobHere.next('message', { text: 'the end' });
    t.ok(bobHere.isOpen);
    await readAll(t, bobHere, conv);
    await eventually(async () => (await older.lag()) === 0);
    await older.restart();
    const again = await Client.arrive(hostAt(older, t), bob, {
      since: { epoch: bobHere.ready.epoch, convs: { [conv]: 1 } },
    });
    await again.next('caught_up', { conv });
    await readAll(t, again, conv);
    for (const node of world.nodes) t.equal(await node.metric('chat_poisoned_total'), 0, 'it is no poison');
    for (const node of world.nodes) t.same(await node.kill('SIGTERM'), { code: 0, signal: null });
  },
);

t.test('a folder that a newer version has written to: an older one that is put back goes on with it', async (t) => {
  const options = { dataDir: await temporaryFolder(t), nodeArgs: NODE_ARGS };
  const newer = await startServer(t, { ...options, env: NEWER });
  const host = hostAt(newer, t);
  const [ann, bob] = [await register(host, 'ann'), await register(host, 'bob')];
  const client = await Client.arrive(host, ann);
  const { body } = await client.http('POST', 'conversations', { kind: 'group', members: [bob.id] });
  const { conv } = body;
  await client.next('conv');
  await writeAll(client, conv);
  // Some of it is in the log only.
  await newer.kill('SIGKILL');
  const older = await startServer(t, options);
  const later = hostAt(older, t);
  const back = await Client.arrive(later, bob, { since: { epoch: client.ready.epoch, convs: { [conv]: 1 } } });
  await back.next('caught_up', { conv });
  await readAll(t, back, conv);
  t.match(await back.send(conv, 'on we go'), { seq: WRITTEN.length + 2, n: KNOWN.length + 1 });
  t.same(await older.kill('SIGTERM'), { code: 0, signal: null });
});
