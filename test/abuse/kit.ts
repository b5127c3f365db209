// What every attack is measured by: its documented answer, and a server that lives, still serves two people who chat, and
// has let go of all memory and handles afterwards.
import { randomUUIDv7 } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { Test } from 'tap';
import { type Account, type Client, eventually, type Options, type Server, server } from '../kit/index.ts';
import { type HandshakeParts, type Json, RawSocket } from '../kit/raw.ts';

const PROBE = ['--expose-gc', '--import', new URL('./memory-probe.ts', import.meta.url).href];
const MIB = 1_048_576;
/** What caches and compiled code may grow by; a connection kept is 5 kB and more. */
const HELD_SLACK_BYTES = 2 * MIB;
/** The allocator gives back late, or never. */
const RSS_SLACK_BYTES = 96 * MIB;
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

  /** Open files and sockets of the server. */
  async handles(): Promise<number> {
    return (await readdir(`/proc/${this.server.process.pid}/fd`)).length;
  }

  async connections(): Promise<number> {
    const { body } = await this.server.http('GET', '/metrics');
    return Number(/^chat_connections (\d+)$/m.exec(String(body.text))?.[1]);
  }
}

export function newId(): string {
  return randomUUIDv7();
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
    await place.staysWell(t);
  });
  t.notOk(
    place.secrets.some((secret) => place.server.process.stderr.includes(secret)),
    'no token is logged',
  );
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
