// The data folder in the wrong hands: two processes on it, or its files replaced by older ones or by none.
import { copyFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { type Account, Client, call, type Host } from '../kit/client.ts';
import { Ledger } from '../kit/observer.ts';
import { type ServerProcess, startProgram, startServer, temporaryFolder } from '../kit/process.ts';
import { Run } from './run.ts';

t.setTimeout(300_000);

/** A server on a folder, until it is stopped; each life has a ledger of its own, since epochs may differ. */
async function live(t: Test, dataDir: string): Promise<Host & { readonly server: ServerProcess }> {
  const server = await startServer(t, { dataDir, env: { CHAT_LOG_LEVEL: 'fatal' } });
  const { url, socketUrl } = server;
  return { server, url, socketUrl, ledger: new Ledger(), fault: (text) => t.fail(text) };
}

async function register(host: Host, username: string): Promise<Account> {
  const fields = { email: `${username}@example.org`, username, password: 'correct horse battery' };
  const { body } = await call(host, 'POST', 'auth/register', fields);
  const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
  return { id: user.id, name: username, access, refresh };
}

async function say(client: Client, conv: string, count: number): Promise<void> {
  for (let index = 1; index <= count; index++) await client.send(conv, `${client.account.name} ${index}`);
}

const texts = async (client: Client, conv: string) => (await client.allMessages(conv)).map(({ text }) => text);

async function removeLog(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) if (name.startsWith('log.db')) await rm(join(dataDir, name));
}

t.test('a second process on the folder says one line and exits 2; the first goes on unharmed', async (t) => {
  const dataDir = await temporaryFolder(t);
  const server = await startServer(t, { dataDir });
  const run = await Run.begin(t, server);
  run.meet(server);
  for (let tries = 0; tries < 5; tries++) {
    const second = await startProgram(t, { dataDir });
    t.same(await second.exited, { code: 2, signal: null });
    t.match(second.stderr, /^chatterbox: data_in_use: [^\n]+\n$/);
    t.equal(second.stdout, '');
    await run.after(50);
  }
  await run.comeToRest();
  await run.end();
  t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
  await run.verify(dataDir, 'the checker finds nothing');
});

/** What becomes of the log between two lives. */
const LOSSES = {
  lost: (_copy: string, dataDir: string) => removeLog(dataDir),
  'older than the store': (copy: string, dataDir: string) => copyFile(copy, join(dataDir, 'log.db')),
};

for (const [what, lose] of Object.entries(LOSSES)) {
  t.test(`log.db ${what}: a new epoch, old cursors get \`reset\`, numbers go on where the store ends`, async (t) => {
    const dataDir = await temporaryFolder(t);
    const copy = join(await temporaryFolder(t), 'log.db');
    const first = await live(t, dataDir);
    const account = await register(first, 'ann');
    const before = await Client.arrive(first, account);
    const conv = await before.group([]);
    await say(before, conv, 5);
    await first.server.kill('SIGTERM');
    await copyFile(join(dataDir, 'log.db'), copy);

    const second = await live(t, dataDir);
    const later = await Client.arrive(second, account, { since: before.since() });
    t.equal(later.ready.epoch, before.ready.epoch, 'the same log has the same epoch');
    await later.next('caught_up');
    await say(later, conv, 5);
    const since = later.since();
    t.same(since.convs, { [conv]: 11 });
    await second.server.kill('SIGTERM');
    await lose(copy, dataDir);

    const third = await live(t, dataDir);
    const after = await Client.arrive(third, account, { since });
    t.not(after.ready.epoch, since.epoch, 'the epoch is a new one');
    t.match(await after.next('reset'), { conv, seq: 11, epoch: after.ready.epoch });
    t.equal((await texts(after, conv)).length, 10, 'the store has everything');
    t.match(await after.sync(conv, 0), { epoch: after.ready.epoch, to: 11, more: false });
    t.match(await after.send(conv, 'on we go'), { seq: 12, n: 11 });
    t.match(await after.next('message'), { seq: 12 });
    await third.server.kill('SIGTERM');

    const fourth = await live(t, dataDir);
    const again = await Client.arrive(fourth, account, { since: after.since() });
    t.equal(again.ready.epoch, after.ready.epoch, 'and stays');
    t.match(await again.next('caught_up'), { conv, seq: 12 });
  });
}

t.test(
  'log.db lost with changes that the store had not got: their numbers are given again only under a new epoch',
  async (t) => {
    const dataDir = await temporaryFolder(t);
    const first = await live(t, dataDir);
    const account = await register(first, 'ann');
    const before = await Client.arrive(first, account);
    const conv = await before.group([]);
    await say(before, conv, 3);
    const other = new DatabaseSync(join(dataDir, 'store.db'), { timeout: 10_000 });
    t.teardown(() => other.isOpen && other.close());
    other.exec('BEGIN IMMEDIATE');
    const { seq } = await before.send(conv, 'only in the log');
    await before.next('message', { seq });
    const since = before.since();
    await first.server.kill('SIGKILL');
    other.exec('ROLLBACK');
    other.close();
    await removeLog(dataDir);

    const second = await live(t, dataDir);
    const after = await Client.arrive(second, account, { since });
    t.not(after.ready.epoch, since.epoch, 'the epoch is a new one');
    const { seq: head } = await after.next('reset');
    t.ok(head < seq, `the store ends at ${head}`);
    await after.pull(conv, 0);
    await say(after, conv, 5);
    const found = await after.allMessages(conv);
    t.same(
      found.map(({ n }) => n),
      found.map((_, index) => index + 1),
      'numbers are dense',
    );
    t.notOk((await texts(after, conv)).includes('only in the log'));
  },
);

t.test('a store older than what the log still has: one line, exit 2, nothing is touched', async (t) => {
  const dataDir = await temporaryFolder(t);
  const copy = join(await temporaryFolder(t), 'store.db');
  const first = await live(t, dataDir);
  const account = await register(first, 'ann');
  const client = await Client.arrive(first, account);
  const conv = await client.group([]);
  await first.server.kill('SIGTERM');
  await copyFile(join(dataDir, 'store.db'), copy);

  const second = await live(t, dataDir);
  await say(await Client.arrive(second, account), conv, 3);
  await second.server.kill('SIGTERM');
  // Starting lets go of what the store has.
  const third = await live(t, dataDir);
  await third.server.kill('SIGTERM');
  const kept = join(dataDir, 'kept.db');
  await copyFile(join(dataDir, 'store.db'), kept);
  await copyFile(copy, join(dataDir, 'store.db'));

  const refused = await startProgram(t, { dataDir });
  t.same(await refused.exited, { code: 2, signal: null });
  t.match(refused.stderr, /^chatterbox: data_mismatch: [^\n]+\n$/);

  await copyFile(kept, join(dataDir, 'store.db'));
  const fourth = await live(t, dataDir);
  const after = await Client.arrive(fourth, account);
  t.equal(after.ready.epoch, client.ready.epoch);
  t.equal((await texts(after, conv)).length, 3, 'with the right store back all is there');
});
