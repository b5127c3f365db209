// What every attack is measured by: its documented answer, and a server that lives, still serves two people who chat, and
// has let go of all memory and handles afterwards.
import { randomUUIDv7 } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Test } from 'tap';
import { type Account, type Client, eventually, type Options, type Server, server } from '../kit/index.ts';
import { type HandshakeParts, type Json, RawSocket } from '../kit/raw.ts';

const PROBE = ['--expose-gc', '--import', new URL('./memory-probe.ts', import.meta.url).href];
const MIB = 1_048_576;
/** What caches and compiled code may grow by; a connection kept is 5 kB and more. */
const HELD_SLACK_BYTES = 2 * MIB;
/** The allocator gives back late, or never. */
const RSS_SLACK_BYTES = 96 * MIB;
/** After thousands of writes: pages that V8 has freed and keeps, and the heaps of threads, which no probe collects. */
const BUSY_RSS_SLACK_BYTES = 384 * MIB;
/** Of all attacks of a group together. */
const REPEATS = 1_000;
/** Attacks of one round at a time. */
const AT_ONCE = 8;

export interface Attack {
  /** What is done, as a noun. */
  readonly name: string;
  /** @returns what came of it */
  readonly act: (arena: Arena) => Promise<unknown>;
  readonly expect: object;
  /** Not repeated with the others: it is slow, or leaves messages. */
  readonly once?: true;
}

export interface Memory {
  /** Live objects and buffers after a collection. */
  readonly heldBytes: number;
  readonly rssBytes: number;
  /** What keeps Node's event loop busy, by kind: sockets, timers, requests under way. */
  readonly resources: Readonly<Record<string, number>>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Json;
}

/** A server with two people who chat while it is attacked, and an account to attack with. */
export class Arena {
  readonly server: Server;
  readonly ann: Client;
  readonly bob: Client;
  readonly conv: string;
  readonly attacker: Account;
  /** Ends with the server: what must not be seen in its log. */
  readonly secrets: string[] = [];
  #probes = 0;

  constructor(running: Server, ann: Client, bob: Client, conv: string, attacker: Account) {
    this.server = running;
    this.ann = ann;
    this.bob = bob;
    this.conv = conv;
    this.attacker = attacker;
    for (const { access, refresh } of [ann.account, bob.account, attacker]) this.secrets.push(access, refresh);
  }

  get url(): string {
    return this.server.url;
  }

  /** A raw connection that has been upgraded and welcomed. */
  async open(parts: HandshakeParts = {}): Promise<RawSocket> {
    const raw = await RawSocket.open(this.url, parts);
    await raw.next('welcome');
    return raw;
  }

  /** A raw connection that is signed in. */
  async enter(account: Account = this.attacker, hello: object = {}): Promise<RawSocket> {
    const raw = await this.open();
    const answer = await raw.ask({ t: 'hello', id: newId(), token: account.access, ...hello });
    if (answer.t !== 'ready') throw new Error(`no hello: ${JSON.stringify(answer)}`);
    return raw;
  }

  /** A request on a connection that is not kept. */
  async http(
    method: string,
    path: string,
    fields?: unknown,
    token: string = this.attacker.access,
  ): Promise<HttpAnswer> {
    const response = await fetch(path.startsWith('/') ? this.url + path : `${this.url}/api/v1/${path}`, {
      method,
      headers: {
        connection: 'close',
        authorization: `Bearer ${token}`,
        ...(fields === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(fields === undefined ? {} : { body: JSON.stringify(fields) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text.startsWith('{') ? JSON.parse(text) : {},
    };
  }

  /** The process lives, and others have noticed nothing. */
  async staysWell(t: Test): Promise<void> {
    const text = `still here ${randomUUIDv7()}`;
    const { seq } = await this.ann.send(this.conv, text);
    const push = await this.bob.next('message', { seq });
    t.equal(push.text, text, 'others still chat');
    t.doesNotThrow(() => process.kill(this.server.process.pid, 0), 'the process lives');
  }

  async memory(): Promise<Memory> {
    const wanted = new RegExp(`^memory ${++this.#probes} (.*)$`, 'm');
    process.kill(this.server.process.pid, 'SIGUSR2');
    return eventually(() => {
      const found = wanted.exec(this.server.process.stderr)?.[1];
      return found === undefined ? false : (JSON.parse(found) as Memory);
    }) as Promise<Memory>;
  }

  /** Open files and sockets of the server. Those to Redis and MongoDB come and go with the load, and have their own bounds. */
  async handles(): Promise<number> {
    const folder = `/proc/${this.server.process.pid}/fd`;
    const outgoing = await this.#outgoing();
    const targets = await Promise.all(
      (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => null)),
    );
    return targets.filter((target) => target !== null && !outgoing.has(target)).length;
  }

  /** The sockets this process has connected by itself, as links of /proc name them. */
  async #outgoing(): Promise<ReadonlySet<string>> {
    const table = await readFile(`/proc/${this.server.process.pid}/net/tcp`, 'utf8');
    const port = Number(new URL(this.url).port).toString(16).toUpperCase().padStart(4, '0');
    const rows = table
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/));
    return new Set(
      rows.flatMap(([, local, , , , , , , , inode]) => (local?.endsWith(`:${port}`) ? [] : [`socket:[${inode}]`])),
    );
  }

  async connections(): Promise<number> {
    const { body } = await this.server.http('GET', '/metrics');
    return Number(/^chat_connections (\d+)$/m.exec(String(body.text))?.[1]);
  }
}

export function newId(): string {
  return randomUUIDv7();
}

/** Faults within ten seconds that a connection survives. */
export const MAX_FAULTS = 9;
const FAULTS = new Set(['bad_json', 'bad_frame', 'unknown_type']);

/** Frames of somebody whose connection ends at the tenth fault: then it is another one. */
export class Speaker {
  readonly #place: Arena;
  readonly #account: Account;
  #raw: RawSocket | null = null;
  #faults = 0;

  constructor(place: Arena, account: Account) {
    this.#place = place;
    this.#account = account;
  }

  /** @returns the answer, or the error a signal gets */
  async say(frame: Readonly<Record<string, unknown>>): Promise<Json> {
    this.#raw ??= await this.#place.enter(this.#account);
    this.#raw.send(frame);
    const answer = await this.#raw.next(({ t, id }) => (id === undefined ? t === 'error' : id === frame.id));
    if (FAULTS.has(answer.code)) this.#faults++;
    if (this.#faults === MAX_FAULTS) await this.end();
    return answer;
  }

  async end(): Promise<void> {
    await this.#raw?.close();
    this.#raw = null;
    this.#faults = 0;
  }
}

export async function arena(t: Test, options: Options = {}): Promise<Arena> {
  const running = await server(t, {
    cheapPasswords: true,
    ...options,
    nodeArgs: [...PROBE, ...(options.nodeArgs ?? [])],
  });
  const [ann, bob] = await running.clients('ann', 'bob');
  const conv = await ann.direct(bob);
  return new Arena(running, ann, bob, conv, await running.account('mallory'));
}

/** Each attack by itself with its answer, then all of them over and over with nothing left of them. */
export async function withstand(t: Test, place: Arena, attacks: readonly Attack[], repeats = REPEATS): Promise<void> {
  const handles = await place.handles();
  for (const { name, act, expect } of attacks) {
    await t.test(name, async (t) => {
      t.match(await act(place), expect);
      await place.staysWell(t);
    });
  }
  const quick = attacks.filter(({ once }) => once !== true);
  const rounds = Math.ceil(repeats / quick.length);
  await t.test('done over and over it leaves no memory and no handle behind', async (t) => {
    await repeat(place, quick, 3);
    await backTo(place, handles);
    const before = await place.memory();
    await repeat(place, quick, rounds);
    await backTo(place, handles);
    const after = await settled(place, before.heldBytes + HELD_SLACK_BYTES);
    const [held, rss] = [after.heldBytes - before.heldBytes, after.rssBytes - before.rssBytes];
    t.ok(held < HELD_SLACK_BYTES, `${rounds} rounds of ${quick.length} left ${(held / MIB).toFixed(1)} MiB`);
    t.ok(rss < RSS_SLACK_BYTES, `resident memory grew by ${(rss / MIB).toFixed(1)} MiB`);
    // Fewer, where a connection kept for requests that may come has run out meanwhile.
    t.ok((await place.handles()) <= handles);
    t.same(leftOf(before.resources, after.resources, rounds), [], 'no socket, timer or request is left');
    await place.staysWell(t);
  });
  t.notOk(
    place.secrets.some((secret) => place.server.process.stderr.includes(secret)),
    'no token is logged',
  );
}

/** Work that leaves no handles, and memory below a bound that its caller gives the reason for. */
export async function leavesLittle(
  t: Test,
  place: Arena,
  boundBytes: number,
  work: () => Promise<void>,
): Promise<void> {
  // As many connections as `fetch` will ever keep open to the server.
  await Promise.all(Array.from({ length: 2 * AT_ONCE }, () => place.server.http('GET', '/health')));
  const [handles, before] = [await place.handles(), await place.memory()];
  await work();
  await backTo(place, handles);
  const { heldBytes, rssBytes } = await settled(place, before.heldBytes + boundBytes);
  const [held, rss] = [heldBytes - before.heldBytes, rssBytes - before.rssBytes];
  t.ok(held < boundBytes, `left ${(held / MIB).toFixed(1)} MiB`);
  t.ok(rss < BUSY_RSS_SLACK_BYTES, `resident memory grew by ${(rss / MIB).toFixed(1)} MiB`);
  await place.staysWell(t);
}

/** What is left of every attack is one for each round, if not more: fewer are those that come and go by themselves. */
function leftOf(before: Memory['resources'], after: Memory['resources'], rounds: number): readonly string[] {
  return Object.entries(after)
    .filter(([kind, count]) => count - (before[kind] ?? 0) >= rounds / 2)
    .map(([kind, count]) => `${count} ${kind}, ${before[kind] ?? 0} before`);
}

async function repeat(place: Arena, attacks: readonly Attack[], rounds: number): Promise<void> {
  const queue = Array.from({ length: rounds }, () => attacks).flat();
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await next.act(place);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Memory once it is below a bound, or what it stays at: a closed socket is let go some turns later. */
export async function settled(place: Arena, bound: number): Promise<Memory> {
  for (let tries = 0; tries < 20; tries++) {
    const memory = await place.memory();
    if (memory.heldBytes < bound) return memory;
  }
  return place.memory();
}

/** Resolves when the server holds no more handles than this. */
export async function backTo(place: Arena, handles: number): Promise<void> {
  await eventually(async () => (await place.handles()) <= handles);
}

/** What a connection is closed with, and what was said before. */
export async function closingOf(raw: RawSocket): Promise<{ code: number | null; reason: string; errors: Json[] }> {
  const closing = await raw.closed();
  raw.destroy();
  return { ...closing, errors: raw.unread.filter(({ t: type }) => type === 'error') };
}
