// The real nginx with the files of ops/nginx in front of nodes on this machine; only its port and its nodes are the test's.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { server } from '../kit/index.ts';
import { nginxServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

const CONFIG = join(import.meta.dirname, '../../ops/nginx');

interface Owner {
  teardown(end: () => unknown): void;
}

/** A node as nginx sees it: tells everybody who connects its name and what headers came. */
class Node {
  readonly name: string;
  readonly port: number;
  readonly #server: WebSocketServer;

  static async start(t: Owner, name: string, port = 0): Promise<Node> {
    const sockets = new WebSocketServer({ port, host: '127.0.0.1' });
    await once(sockets, 'listening');
    const { port: taken } = sockets.address() as AddressInfo;
    const node = new Node(name, taken, sockets);
    t.teardown(() => node.die());
    return node;
  }

  private constructor(name: string, port: number, sockets: WebSocketServer) {
    this.name = name;
    this.port = port;
    this.#server = sockets;
    sockets.on('connection', (socket, { headers }) => socket.send(JSON.stringify({ name, headers })));
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get sockets(): readonly WebSocket[] {
    return [...this.#server.clients];
  }

  /** As by kill -9: connections are cut, new ones refused. */
  die(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }
}

interface Greeting {
  readonly name: string;
  readonly headers: IncomingHttpHeaders;
}

interface Visitor {
  readonly socket: WebSocket;
  readonly greeting: Greeting;
}

async function visit(t: Owner, url: string, headers: Readonly<Record<string, string>> = {}): Promise<Visitor> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers });
  t.teardown(() => socket.terminate());
  const [data] = await once(socket, 'message');
  return { socket, greeting: JSON.parse(String(data)) };
}

t.test('a WebSocket goes through, with its host, its port and the address of its client', async (t) => {
  const node = await Node.start(t, 'one');
  const { url } = await nginxServer(t, [node.address]);
  const { socket, greeting } = await visit(t, url, { 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Proto': 'gopher' });
  t.match(greeting.headers, {
    upgrade: 'websocket',
    connection: 'upgrade',
    host: new URL(url).host,
    'x-forwarded-for': '192.0.2.7, 127.0.0.1',
    'x-forwarded-proto': 'http',
  });
  const [inside] = node.sockets;
  inside?.on('message', (data) => inside.send(`echo of ${data}`));
  const answer = once(socket, 'message');
  socket.send('hello');
  t.equal(String((await answer)[0]), 'echo of hello');
});

t.test('nodes share the sockets, and when one dies the others keep theirs and get the new ones', async (t) => {
  const [one, two] = await Promise.all([Node.start(t, 'one'), Node.start(t, 'two')]);
  const { url } = await nginxServer(t, [one.address, two.address]);
  const visitors = await inTurn(6, () => visit(t, url));
  t.same([one.sockets.length, two.sockets.length], [3, 3]);

  const cut = visitors.filter(({ greeting }) => greeting.name === 'one').map(({ socket }) => once(socket, 'close'));
  one.die();
  for (const [code] of await Promise.all(cut)) t.equal(code, 1006);
  t.equal(two.sockets.length, 3);
  const later = await inTurn(4, () => visit(t, url));
  t.same(
    later.map(({ greeting }) => greeting.name),
    ['two', 'two', 'two', 'two'],
  );
});

async function inTurn<T>(times: number, visit: () => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i += 1) results.push(await visit());
  return results;
}

t.test('a node that comes back gets sockets again', async (t) => {
  const [one, two] = await Promise.all([Node.start(t, 'one'), Node.start(t, 'two')]);
  const { url } = await nginxServer(t, [one.address, two.address]);
  one.die();
  t.equal((await visit(t, url)).greeting.name, 'two');
  await Node.start(t, 'one again', one.port);
  await eventually(async () => (await visit(t, url)).greeting.name === 'one again', 200);
});

t.test('with no node left, an upgrade is answered 502', async (t) => {
  const node = await Node.start(t, 'one');
  const { url } = await nginxServer(t, [node.address]);
  node.die();
  const socket = new WebSocket(url.replace('http', 'ws'));
  t.teardown(() => socket.terminate());
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  t.equal(response.statusCode, 502);
});

t.test('a page that nginx served may open a socket, and the heartbeat keeps it open', async (t) => {
  const chat = await server(t);
  const { url, port } = await nginxServer(t, [new URL(chat.process.url).host]);
  const page = new WebSocket(`ws://127.0.0.1:${port}/ws`, { origin: url });
  t.teardown(() => page.terminate());
  const [welcome] = await once(page, 'message');
  const { t: type, heartbeat } = JSON.parse(String(welcome));
  t.equal(type, 'welcome');

  const config = await readFile(join(CONFIG, 'node.conf'), 'utf8');
  for (const name of ['proxy_read_timeout', 'proxy_send_timeout']) {
    const [, seconds] = new RegExp(`^${name} (\\d+)s;$`, 'm').exec(config) ?? [];
    t.ok(Number(seconds) * 1000 > 2 * heartbeat, `${name} is ${seconds} s; one ping may be lost`);
  }
});

t.test('clients are told apart by their real address, whatever they claim', async (t) => {
  const chat = await server(t, { env: { CHAT_TRUST_PROXY: '127.0.0.1', CHAT_AUTH_RATE: '1' } });
  const { port } = await nginxServer(t, [new URL(chat.process.url).host]);
  t.equal(await login({ port, from: '127.0.0.2', claims: '192.0.2.1' }), 401);
  t.equal(await login({ port, from: '127.0.0.2', claims: '192.0.2.2' }), 429, 'the same one under another name');
  t.equal(await login({ port, from: '127.0.0.3', claims: '192.0.2.1' }), 401, 'somebody else');
});

/** @returns the status of a login that fails */
async function login(visit: {
  readonly port: number;
  readonly from: string;
  readonly claims: string;
}): Promise<number> {
  const request = http.request({
    port: visit.port,
    host: '127.0.0.1',
    localAddress: visit.from,
    method: 'POST',
    path: '/api/v1/auth/login',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': visit.claims },
  });
  request.end(JSON.stringify({ login: 'nobody', password: 'not a password' }));
  const [response] = await once(request, 'response');
  response.resume();
  return response.statusCode;
}

t.test('metrics are not shown to the world', async (t) => {
  const chat = await server(t);
  const { url } = await nginxServer(t, [new URL(chat.process.url).host]);
  t.equal((await fetch(`${chat.process.url}/metrics`)).status, 200);
  t.equal((await fetch(`${url}/metrics`)).status, 404);
});
