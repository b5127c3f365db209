#!/usr/bin/env node
// Replays what people have said (an mbox, an IRC log, JSON lines) into a server: its authors as users, its lists or
// channels as public rooms, its messages in their order. Run again it goes on where it stopped: nothing is sent twice,
// since each message has the same idempotency key in every run.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Receipt, Refusal, type Sending } from '../src/client/index.ts';
import { type Line, NoFormat, readLines } from './replay/formats.ts';
import { People, type Person } from './replay/people.ts';

const HELP = `node examples/replay.ts FILE ... [--url http://127.0.0.1:3000] [--speed N] [--room TITLE] [--password P]

FILE        an mbox, an IRC log or JSON lines, also with .gz; which of them it is its first line tells
--url       the server
--speed     N times as fast as it was said; by default as fast as the server takes it
--room      one room for all, instead of one for each file or channel
--password  of the users that are made, at least 8 characters; by default made up, and kept in FILE.password

The server's limits hold for a replay too. For one of thousands of messages start it with
  CHAT_AUTH_RATE=0 CHAT_HTTP_RATE=0 CHAT_MESSAGE_RATE=0 CHAT_MAX_CONNECTIONS_PER_ADDRESS=0 npm start
`;

const MAX_TEXT = 4_000;
/** Messages of one author under way at once; the next author waits for them, so that the order holds. */
const WINDOW = 32;
const REMEMBERED = 100_000;
const TELL_EVERY_MS = 500;

interface Options {
  readonly files: readonly string[];
  readonly url: string;
  readonly speed: number;
  readonly room: string | undefined;
  readonly password: string;
}

class Replay {
  readonly #options: Options;
  readonly #people: People;
  readonly #rooms = new Map<string, string>();
  /** Numbers of messages that may be answered. */
  readonly #seqs = new Map<string, number>();
  #underWay: Promise<Receipt>[] = [];
  #author: string | undefined;
  #firstAt: number | undefined;
  #index = 0;
  readonly #begun = performance.now();
  sent = 0;
  refused = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#people = new People(options.url, options.password);
    this.#people.onLimit = (ms) => say(`the server asks to wait ${Math.ceil(ms / 1_000)} s before the next sign-in`);
  }

  async run(): Promise<void> {
    for (const file of this.#options.files) for await (const line of readLines(file)) await this.#replay(line);
    await this.#settle();
  }

  close(): void {
    this.#people.close();
  }

  progress(): string {
    const perSecond = Math.round((this.sent / (performance.now() - this.#begun)) * 1_000);
    const refused = this.refused === 0 ? '' : `, ${this.refused} refused`;
    return `${this.sent} messages${refused}, ${this.#rooms.size} rooms, ${this.#people.known} people, ${perSecond}/s`;
  }

  async #replay(line: Line): Promise<void> {
    await this.#keepPace(line.at);
    // Connections are no order among each other: who speaks next waits until what was said is written.
    if (line.from !== this.#author || this.#underWay.length >= WINDOW) await this.#settle();
    this.#author = line.from;
    const room = this.#options.room ?? line.room;
    const person = await this.#people.get(line.from);
    const conv = this.#rooms.get(room) ?? (await this.#open(room));
    if (!person.rooms.has(conv)) await enter(person, conv);
    const reply = line.answers === undefined ? undefined : this.#seqs.get(line.answers);
    const index = this.#index++;
    for (const [part, text] of parts(line.text).entries()) {
      const id = keyOf(room, `${index}`, `${part}`, text);
      const request = { t: 'message', conv, text, ...(reply === undefined ? {} : { reply }) } as const;
      this.#await(person.chat.write({ ...request, id }), part === 0 ? line.name : undefined);
    }
  }

  #await(sending: Sending, name: string | undefined): void {
    this.#underWay.push(sending.done);
    sending.done.then(
      ({ seq }) => {
        this.sent++;
        if (name === undefined || seq === undefined) return;
        this.#seqs.set(name, seq);
        if (this.#seqs.size > REMEMBERED) this.#seqs.delete(this.#seqs.keys().next().value as string);
      },
      () => {
        this.refused++;
        sending.discard();
      },
    );
  }

  async #settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    this.#underWay = [];
  }

  /** The same room in every run: the key names it. */
  async #open(title: string): Promise<string> {
    const { api } = await this.#people.get('replay');
    const { conv } = await api.create({ kind: 'room', title, public: true }, keyOf('room', title));
    this.#rooms.set(title, conv);
    return conv;
  }

  /** Waits until it is time, counted from the first message that has one. */
  async #keepPace(at: number | undefined): Promise<void> {
    const { speed } = this.#options;
    if (speed === 0 || at === undefined) return;
    this.#firstAt ??= at;
    const waitMs = (at - this.#firstAt) / speed - (performance.now() - this.#begun);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function enter({ chat, rooms }: Person, conv: string): Promise<void> {
  await chat.join(conv).done;
  rooms.add(conv);
}

/** Cut at 4,000 characters: at the last end of a line before, where there is one. */
function parts(text: string): string[] {
  const characters = [...text.toWellFormed().replaceAll('\0', '')];
  const found: string[] = [];
  while (characters.length > MAX_TEXT) {
    const end = characters.lastIndexOf('\n', MAX_TEXT - 1);
    found.push(characters.splice(0, end > 0 ? end + 1 : MAX_TEXT).join(''));
  }
  return [...found, characters.join('')].filter((part) => part !== '');
}

/** 8 to 64 characters; no UUIDv7, so that it is the same in every run. */
function keyOf(...words: readonly string[]): string {
  return createHash('sha256').update(words.join('\0')).digest('base64url');
}

function say(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

function refuse(problem: string): never {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
}

function readOptions(): Options {
  try {
    const text = { type: 'string' } as const;
    const options = { url: text, speed: text, room: text, password: text, help: { type: 'boolean' } } as const;
    const { values, positionals: files } = parseArgs({ allowPositionals: true, options });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const missing = files.find((file) => !existsSync(file));
    if (files.length === 0) refuse(HELP);
    if (missing !== undefined) refuse(`there is no file ${missing}`);
    const speed = Number(values.speed ?? 0);
    if (!(speed >= 0)) refuse('--speed is a number from 0');
    const { url = 'http://127.0.0.1:3000', room } = values;
    return { files, url, speed, room, password: values.password ?? keptPassword(`${files[0]}.password`) };
  } catch (error) {
    return refuse(`${(error as Error).message}\n\n${HELP}`);
  }
}

function keptPassword(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const made = randomBytes(18).toString('base64url');
  writeFileSync(file, `${made}\n`, { mode: 0o600 });
  return made;
}

async function main(): Promise<void> {
  const replay = new Replay(readOptions());
  const telling = setInterval(() => say(replay.progress()), process.stderr.isTTY ? TELL_EVERY_MS : 10_000);
  process.once('SIGINT', () => {
    say(`${replay.progress()}; stopped. Run it again to go on.\n`);
    process.exit(130);
  });
  try {
    await replay.run();
    say(`${replay.progress()}\n`);
    process.exitCode = replay.refused === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof NoFormat)) throw error;
    say(`${error.message}\n`);
    process.exitCode = error instanceof NoFormat ? 2 : 1;
  } finally {
    clearInterval(telling);
    replay.close();
  }
}

await main();
