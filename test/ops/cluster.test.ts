// `npm run cluster` as its user runs it: from outside, with real services, nodes and nginx. Each test has a temporary
// folder of its own, and with it a state of its own. No Docker here: what answers for it is a stand-in.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { birthOf } from '../../ops/service/identity.ts';
import { type Account, Client, call, type Host } from '../kit/client.ts';
import { Ledger } from '../kit/observer.ts';
import { cleanEnv, type Program, startProgram, temporaryFolder } from '../kit/process.ts';
import { eventually, soon } from '../kit/waiting.ts';

const ROOT = join(import.meta.dirname, '../..');
const PASSWORD = 'correct horse battery';
/** A start is services, nodes and nginx, one after the other, maybe on a busy machine. */
const START_MS = 180_000;

interface Test {
  teardown(end: () => unknown): void;
  fail(message: string): unknown;
}

/** Somebody with a temporary folder of their own, on a machine without a Docker engine. */
class User {
  readonly folder: string;
  readonly #programs: string;
  readonly #t: Test;

  static async arrive(t: Test): Promise<User> {
    const someone = new User(t, await temporaryFolder(t), await temporaryFolder(t));
    const docker = join(someone.#programs, 'docker');
    await writeFile(docker, '#!/bin/sh\nexit 1\n');
    await chmod(docker, 0o755);
    t.teardown(() => someone.services('down'));
    return someone;
  }

  private constructor(t: Test, folder: string, programs: string) {
    this.#t = t;
    this.folder = folder;
    this.#programs = programs;
  }

  /** What `npm run cluster -- WORDS` runs. */
  cluster(words: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
    return this.#start([process.execPath, join(ROOT, 'ops/cluster.ts'), ...words.split(' ')], env);
  }

  async services(words: string): Promise<Program> {
    const program = await this.#start([join(ROOT, 'ops/services'), ...words.split(' ')], {});
    await program.exited;
    return program;
  }

  /** All that runs on this user's folder. */
  processes(): readonly string[] {
    const all = execFileSync('ps', ['-Ao', 'pid=,args='], { encoding: 'utf8' }).split('\n');
    return all.filter((line) => line.includes(this.folder));
  }

  #start(command: readonly string[], env: Readonly<Record<string, string>>): Promise<Program> {
    const [program = '', ...words] = command;
    const own = { TMPDIR: this.folder, PATH: `${this.#programs}:${cleanEnv().PATH}`, CHAT_MODE: 'cluster' };
    return startProgram(this.#t, { command: [program, ...words], dataDir: this.folder, env: { ...own, ...env } });
  }
}

interface Node {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

/** A cluster that serves, and people in it. */
class Serving implements Host {
  readonly url: string;
  readonly socketUrl: string;
  readonly ledger = new Ledger();
  readonly #t: Test;
  readonly #clients: Client[] = [];
  #isOver = false;

  static async of(t: Test, program: Program): Promise<Serving> {
    const [, url = ''] = await soon(
      program.wrote(/^listening on (http:\/\/127\.0\.0\.1:\d+) \(2 nodes behind nginx\)\n/),
      () => program.stderr,
      START_MS,
    );
    return new Serving(t, url);
  }

  private constructor(t: Test, url: string) {
    this.#t = t;
    this.url = url;
    this.socketUrl = `${url.replace('http', 'ws')}/ws`;
    t.teardown(() => {
      this.#isOver = true;
      for (const client of this.#clients) client.ws.terminate();
    });
  }

  fault(text: string): void {
    if (!this.#isOver) this.#t.fail(text);
  }

  async client(name: string): Promise<Client> {
    const fields = { email: `${name}@example.org`, username: name, password: PASSWORD };
    return this.arrive(name, await call(this, 'POST', 'auth/register', fields));
  }

  async login(name: string): Promise<Client> {
    return this.arrive(name, await call(this, 'POST', 'auth/login', { login: name, password: PASSWORD }));
  }

  async arrive(name: string, { status, body }: Awaited<ReturnType<typeof call>>): Promise<Client> {
    if (status >= 300) throw new Error(`${name} was answered ${status} ${JSON.stringify(body)}`);
    const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
    return this.keep(await Client.arrive(this, { id: user.id, name, access, refresh }));
  }

  keep(client: Client): Client {
    this.#clients.push(client);
    return client;
  }

  /** Where a connection ended, on to the next: nginx may still be sending it to the node that is gone. */
  resume(client: Client): Promise<Client> {
    return eventually(async () => this.keep(await client.resume()), 200);
  }
}

/** As the command told them first. */
function nodesOf({ stderr }: Program): readonly Node[] {
  return [...stderr.matchAll(/^(node-\d+): (\S+) \(pid (\d+), log \S+\)$/gm)].map(
    ([, name = '', url = '', pid]): Node => ({ name, url, pid: Number(pid) }),
  );
}

function pidsOf({ stderr, stdout }: Program): readonly number[] {
  return [...`${stderr}\n${stdout}`.matchAll(/\bpid (\d+)/g)].map(([, pid]) => Number(pid));
}

const isAlive = (pid: number) => birthOf(pid) !== undefined;

async function connectionsOf({ url }: Node): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const samples = [...metrics.matchAll(/^chat_connections(?:\{.*\})? (\d+)$/gm)];
  return samples.reduce((sum, [, count]) => sum + Number(count), 0);
}

t.test('one command brings two nodes that chat; one is killed and comes back; SIGTERM leaves no process', async (t) => {
  const user = await User.arrive(t);
  const program = await user.cluster('--port 0');
  const serving = await Serving.of(t, program);
  const nodes = nodesOf(program);
  t.equal(nodes.length, 2);
  t.equal((await fetch(`${serving.url}/ready`)).status, 200);

  const [ann, bob] = [await serving.client('ann'), await serving.client('bob')];
  const group = await ann.group([bob]);
  await bob.hears(group);
  t.same(await Promise.all(nodes.map(connectionsOf)), [1, 1], 'each is on a node of their own');
  await ann.send(group, 'hello');
  t.match(await bob.next('message'), { n: 1, text: 'hello' });
  await bob.send(group, 'hello you');
  t.match(await ann.next('message', { n: 2 }), { text: 'hello you' });

  const [victim] = nodes;
  process.kill(victim?.pid ?? 0, 'SIGKILL');
  await Promise.race([ann.ended(), bob.ended()]);
  t.equal([ann, bob].filter(({ isOpen }) => isOpen).length, 1, 'the other one stays');
  const people = await Promise.all([ann, bob].map((one) => (one.isOpen ? one : serving.resume(one))));
  const [annAgain = ann, bobAgain = bob] = people;
  await eventually(() => annAgain.send(group, 'still here', { id: 'after-the-kill' }));
  t.match(await bobAgain.next('message', { text: 'still here' }), { conv: group });

  const back = new RegExp(`^${victim?.name}: is back \\(pid (\\d+)\\)$`, 'm');
  const [, newPid] = await soon(program.wrote(back), () => program.stderr, START_MS);
  t.match(program.stderr, new RegExp(`^${victim?.name}: ended by SIGKILL; starting it again in 100 ms$`, 'm'));
  t.not(Number(newPid), victim?.pid);
  const later = await eventually(async () => {
    const device = serving.keep(await bobAgain.device());
    return victim !== undefined && (await connectionsOf(victim)) > 0 ? device : false;
  }, 200);
  if (later === false) throw new Error('nobody came to the node that is back');
  await annAgain.send(group, 'welcome back');
  await later.next('message', { text: 'welcome back' });

  const pids = [...pidsOf(program), ...pidsOf(await user.services('status'))];
  t.ok(pids.length >= 6 && pids.includes(Number(newPid)));
  const goodbye = annAgain.next('bye');
  t.same(await program.kill('SIGTERM'), { code: 0, signal: null });
  t.match(await goodbye, { code: 4000 }, 'the nodes say it before nginx ends');
  t.same(pids.filter(isAlive), []);
  t.same(user.processes(), []);
});

t.test('accounts and messages outlive the command, and services that were up before stay up', async (t) => {
  const user = await User.arrive(t);
  const first = await user.cluster('--port 0 --nodes 2');
  const before = await Serving.of(t, first);
  const ann = await before.client('ann');
  const room = await ann.room({ title: 'lobby' });
  await ann.send(room, 'keep this');
  t.same(await first.kill('SIGINT'), { code: 0, signal: null });

  await user.services('up');
  const services = pidsOf(await user.services('status'));
  t.same(services.map(isAlive), [true, true]);
  const second = await user.cluster('--port 0');
  const after = await Serving.of(t, second);
  const annAgain = await after.login('ann');
  t.match((await annAgain.allMessages(room)).at(-1), { text: 'keep this' });
  const withOldToken = await call(after, 'GET', 'rooms', undefined, { token: ann.account.access });
  t.equal(withOldToken.status, 200, 'the secret is the same');

  await t.test('a second cluster of the same checkout is refused', async (t) => {
    const third = await user.cluster('--port 0');
    t.same(await third.exited, { code: 2, signal: null });
    t.match(third.stderr, /^cluster: a cluster of this checkout runs already, as process \d+; stop that one first\n$/);
  });

  t.same(await second.kill('SIGTERM'), { code: 0, signal: null });
  t.same(
    nodesOf(second).map(({ pid }) => isAlive(pid)),
    [false, false],
  );
  t.same(services.map(isAlive), [true, true]);
});

t.test('when the command itself is killed, its nodes and nginx end', async (t) => {
  const user = await User.arrive(t);
  const program = await user.cluster('--port 0 --nodes 2');
  const { url } = await Serving.of(t, program);
  const pids = pidsOf(program);
  t.equal(pids.length, 3);
  await program.kill('SIGKILL');
  await eventually(() => !pids.some(isAlive));
  await t.rejects(fetch(url));
});

t.test('a signal while it starts undoes what it began', async (t) => {
  const user = await User.arrive(t);
  for (const begun of [/^redis: /m, /^node-1: /m]) {
    const program = await user.cluster('--port 0');
    await soon(program.wrote(begun), () => program.stderr, START_MS);
    t.same(await program.kill('SIGTERM'), { code: 0, signal: null }, `${begun}`);
    t.equal(program.stdout, '');
    t.same(pidsOf(program).filter(isAlive), []);
    t.same(user.processes(), []);
  }
});

t.test('a port in use is told in one line, before anything starts', async (t) => {
  const user = await User.arrive(t);
  const other = createServer();
  t.teardown(() => other.close());
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const program = await user.cluster(`--port ${port}`);
  t.same(await program.exited, { code: 2, signal: null });
  t.equal(program.stderr, `cluster: --port: port ${port} on 127.0.0.1 is in use; 0 is any free one\n`);
  t.same(await readdir(user.folder), []);
});

t.test('settings that a node would refuse are told before anything starts', async (t) => {
  const user = await User.arrive(t);
  const program = await user.cluster('--port 0', { CHAT_WORKRES: '2', CHAT_DRAIN_TIME: 'soon' });
  t.same(await program.exited, { code: 2, signal: null });
  t.match(
    program.stderr,
    /^cluster: CHAT_WORKRES is not a setting; [^\n]+\ncluster: CHAT_DRAIN_TIME is "soon", but [^\n]+\n$/,
  );
  t.same(await readdir(user.folder), []);
});

t.test('wrong use is told in one line, with exit code 2', async (t) => {
  const user = await User.arrive(t);
  for (const words of ['up', '--nodes', '--nodes 0', '--nodes two', '--port 65536', '--port=-1', '--workers 2']) {
    const program = await user.cluster(words);
    t.equal((await program.exited).code, 2, words);
    t.match(program.stderr, /^cluster: [^\n]+ \(npm run cluster -- --help\)\n$/);
    t.equal(program.stdout, '');
  }
  t.same(await readdir(user.folder), []);
});

t.test('--help names every option', async (t) => {
  const user = await User.arrive(t);
  const program = await user.cluster('--help');
  t.equal((await program.exited).code, 0);
  for (const word of ['--nodes', '--port', 'ops/services down']) t.match(program.stdout, word);
});
