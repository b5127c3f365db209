// Power loss for tests. A server runs under strace, which writes down every change it makes to its files, and every fsync;
// from these acts this file works out what a disk may hold in the moment the power goes: for certain only what was synced,
// of everything else nothing, zeros, or pieces. kill -9 alone proves none of this: the kernel keeps what was not synced.
// Refuses acts it does not know, rather than to guess what they do.
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Random } from './random.ts';

// ---- strace --------------------------------------------------------------------------------------------------------

/** Everything that changes a file, a name, or makes it durable. Not every machine has all of them. */
const TRACED = [
  ...['open', 'openat', 'openat2', 'creat', 'write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'copy_file_range'],
  ...['fsync', 'fdatasync', 'sync_file_range', 'ftruncate', 'truncate', 'fallocate', 'sendfile'],
  ...[
    'unlink',
    'unlinkat',
    'rename',
    'renameat',
    'renameat2',
    'link',
    'linkat',
    'symlink',
    'symlinkat',
    'mkdir',
    'mkdirat',
  ],
];
/** More than any write of a database page or of a log. */
const MAX_SHOWN_BYTES = 1_048_576;

/** Installs strace where that is possible. @throws what to install otherwise */
export async function requireStrace(): Promise<void> {
  const install = () => promisify(execFile)('apt-get', ['install', '-y', '--no-install-recommends', 'strace']);
  const update = () => promisify(execFile)('apt-get', ['update']);
  if (hasStrace()) return;
  await install()
    .catch(() => update().then(install))
    .catch(() => undefined);
  if (!hasStrace()) throw new Error('this test needs strace: apt-get install strace (as root), or the like');
}

function hasStrace(): boolean {
  return spawnSync('strace', ['-V']).status === 0;
}

/** What to put before a program so that its acts are written to a file. */
export function tracing(file: string): readonly [program: string, ...words: string[]] {
  const shown = [
    '-y',
    '-xx',
    '-s',
    String(MAX_SHOWN_BYTES),
    '-e',
    'signal=none',
    '-e',
    `trace=${TRACED.map((call) => `?${call}`).join()}`,
  ];
  return ['strace', '-f', '--seccomp-bpf', '-qq', ...shown, '-o', file];
}

/** What to put before a program so that some of its calls are tampered with (strace(1), `inject`). */
export function injecting(fault: string): readonly [program: string, ...words: string[]] {
  const calls = fault.split(':')[0] ?? '';
  return ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${fault}`];
}

/** The process that strace (with this id) has started. Ending strace itself would only let it go. */
export function tracedPid(stracePid: number): number {
  const children = readFileSync(`/proc/${stracePid}/task/${stracePid}/children`, 'utf8').trim().split(' ');
  if (children.length !== 1) throw new Error(`strace has ${children.length} children`);
  return Number(children[0]);
}

// ---- acts ----------------------------------------------------------------------------------------------------------

export type Act =
  | { readonly is: 'create'; readonly name: string }
  | {
      readonly is: 'write';
      readonly name: string;
      readonly offset: number;
      readonly data: Buffer;
      readonly isSure: boolean;
    }
  | { readonly is: 'resize'; readonly name: string; readonly length: number }
  | { readonly is: 'remove'; readonly name: string }
  | { readonly is: 'rename'; readonly name: string; readonly to: string }
  /** What was written before `begin` is durable from `end` on. Without a name: the folder itself, so the names in it. */
  | { readonly is: 'begin' | 'end'; readonly name: string | null; readonly thread: string }
  /** What was handed to a socket: from here on somebody may know of it. */
  | { readonly is: 'sent'; readonly bytes: Buffer };

const LINE = /^(?<thread>\d+) +(?<rest>.*)$/;
const CALL = /^(?<call>\w+)\((?<words>.*)\) += (?<result>-?\d+|\?)/;
const UNFINISHED = / <unfinished \.\.\.>$/;
/** "socket:", as strace shows it. */
const SOCKET = /^\d+<\\x73\\x6f\\x63\\x6b\\x65\\x74\\x3a/;
const RESUMED = /^<\.\.\. \w+ resumed>/;

/** The acts on a folder's files, in the order they were done. */
export function readActs(trace: string, folder: string): readonly Act[] {
  const reader = new Reader(folder);
  for (const line of trace.split('\n')) {
    const { thread, rest } = LINE.exec(line)?.groups ?? {};
    if (thread !== undefined && rest !== undefined) reader.read(thread, rest);
  }
  reader.end();
  return reader.acts;
}

class Reader {
  readonly acts: Act[] = [];
  readonly #folder: string;
  /** Calls under way, by thread. */
  readonly #begun = new Map<string, string>();
  /** Where plain writes go next, by descriptor. */
  readonly #ends = new Map<number, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(thread: string, text: string): void {
    if (RESUMED.test(text)) {
      const whole = (this.#begun.get(thread) ?? '') + text.replace(RESUMED, '');
      this.#begun.delete(thread);
      return this.#done(thread, whole);
    }
    this.#beginSync(thread, text);
    if (UNFINISHED.test(text)) this.#begun.set(thread, text.replace(UNFINISHED, ''));
    else this.#done(thread, text);
  }

  /** Calls that never returned: a write may have been done, wholly or not. */
  end(): void {
    for (const text of this.#begun.values()) {
      if (/^p?write(?:64)?\(/.test(text)) this.#write(`${text})`, null);
    }
  }

  #beginSync(thread: string, text: string): void {
    const file = /^f(?:data)?sync\((\d+<[^>]*>)/.exec(text)?.[1];
    if (file !== undefined && this.#isOurs(file)) this.acts.push({ is: 'begin', name: this.#nameIn(file), thread });
  }

  #done(thread: string, text: string): void {
    const { call = '', words = '', result = '' } = CALL.exec(text)?.groups ?? {};
    // Of calls that failed nothing remains; those cut short by the end are looked at there.
    if (result.startsWith('-') || result === '?')
      return result === '?' ? void this.#begun.set(thread, text) : undefined;
    if (call.startsWith('write') && SOCKET.test(words)) return this.#sent(words);
    if (!this.#isOurs(words)) return;
    switch (call) {
      case 'open':
      case 'openat':
        return this.#open(words, Number(result));
      case 'write':
      case 'pwrite64':
        return this.#write(text, Number(result));
      case 'fsync':
      case 'fdatasync':
        return void this.acts.push({ is: 'end', name: this.#nameIn(words), thread });
      case 'ftruncate':
        return this.#resize(words);
      case 'unlink':
      case 'unlinkat':
        return void this.acts.push({ is: 'remove', name: this.#quotedNames(words)[0] ?? '' });
      case 'rename':
      case 'renameat':
      case 'renameat2': {
        const [name = '', to = ''] = this.#quotedNames(words);
        return void this.acts.push({ is: 'rename', name, to });
      }
      case 'mkdir':
      case 'mkdirat':
        return;
      default:
        throw new Error(`what ${call} does to ${bytesOf(words.slice(0, 400)).toString()} is not known here`);
    }
  }

  /** Whether a path in it, of a descriptor or given, is in the folder or the folder itself. */
  #isOurs(words: string): boolean {
    return pathsIn(words).some((path) => path === this.#folder || dirname(path) === this.#folder);
  }

  /** The file a descriptor stands for; null for the folder. */
  #nameIn(words: string): string | null {
    const path = pathsIn(words)[0] ?? '';
    return path === this.#folder ? null : basename(path);
  }

  #quotedNames(words: string): string[] {
    return [...words.matchAll(/"([^"]*)"/g)].map((match) => basename(bytesOf(match[1] ?? '').toString()));
  }

  #open(words: string, descriptor: number): void {
    const [name = ''] = this.#quotedNames(words);
    this.#ends.set(descriptor, 0);
    if (words.includes('O_CREAT')) this.acts.push({ is: 'create', name });
    if (words.includes('O_TRUNC')) this.acts.push({ is: 'resize', name, length: 0 });
  }

  #write(text: string, written: number | null): void {
    const {
      call,
      descriptor,
      path = '',
      data = '',
      offset,
    } = /^(?<call>\w+)\((?<descriptor>\d+)<(?<path>[^>]*)>, "(?<data>[^"]*)"(?<cut>\.\.\.)?, \d+(?:, (?<offset>\d+))?\)/.exec(
      text,
    )?.groups ?? {};
    if (call === undefined || !this.#isOurs(`0<${path}>`)) return;
    const bytes = bytesOf(data);
    const place = offset === undefined ? (this.#ends.get(Number(descriptor)) ?? 0) : Number(offset);
    if (offset === undefined) this.#ends.set(Number(descriptor), place + (written ?? 0));
    const name = basename(bytesOf(path).toString());
    const isSure = written !== null;
    this.acts.push({ is: 'write', name, offset: place, data: isSure ? bytes.subarray(0, written) : bytes, isSure });
  }

  #sent(words: string): void {
    const shown = [...words.matchAll(/"([^"]*)"/g)].map((match) => bytesOf(match[1] ?? ''));
    this.acts.push({ is: 'sent', bytes: Buffer.concat(shown) });
  }

  #resize(words: string): void {
    const length = Number(/, (\d+)$/.exec(words)?.[1]);
    this.acts.push({ is: 'resize', name: this.#nameIn(words) ?? '', length });
  }
}

/** Paths in a call's words: of its descriptors `<...>`, and quoted ones. */
function pathsIn(words: string): string[] {
  const shown = [...words.matchAll(/\d+<([^>]*)>|"((?:\\x2f)[^"]{0,4096})"/g)];
  return shown.map((match) => bytesOf(match[1] ?? match[2] ?? '').toString());
}

/** strace -xx: every byte as \xNN. */
function bytesOf(shown: string): Buffer {
  return Buffer.from(shown.replaceAll('\\x', ''), 'hex');
}

// ---- the disk ------------------------------------------------------------------------------------------------------

/** What becomes of what was not synced: nothing of it is there; its length is, but no content; any piece of it may be. */
export const LOSSES = ['cut', 'zeros', 'torn'] as const;
export type Loss = (typeof LOSSES)[number];

export type Image = ReadonlyMap<string, Buffer>;

type Pending = Extract<Act, { is: 'write' | 'resize' }>;

/** A file apart from its name. */
interface File {
  readonly before: Buffer;
  readonly synced: Pending[];
  /** Since the last sync, in order. */
  readonly pending: Pending[];
}

/** Disks fail by the sector: of a larger write some may have been done. */
const SECTOR_BYTES = 512;

/** A folder on a disk: what it shows, and what of it would be there after the power was cut. */
export class Disk {
  #names: Map<string, File>;
  #durableNames: Map<string, File>;
  readonly #syncs = new Map<string, { file: File; count: number } | { names: Map<string, File> }>();

  constructor(image: Image) {
    this.#names = new Map([...image].map(([name, content]) => [name, fileOf(content)]));
    this.#durableNames = new Map(this.#names);
  }

  /** @param lies this many of the last syncs are told to have been done, and were not */
  run(acts: readonly Act[], lies = 0): void {
    const ends = acts.flatMap((act, index) => (act.is === 'end' ? [index] : []));
    const honest = ends.at(-1 - lies) ?? -1;
    for (const [index, act] of acts.entries()) if (act.is !== 'end' || index <= honest) this.do(act);
  }

  /** What the files hold as long as the power is on. */
  shown(): Image {
    return new Map([...this.#names].map(([name, file]) => [name, contentOf(file, file.pending)]));
  }

  /** What they hold after it was cut. */
  afterPowerLoss(loss: Loss, random: Random): Image {
    const names = new Map(this.#durableNames);
    if (loss === 'torn') {
      for (const [name, file] of this.#names) if (random.chance(0.5)) names.set(name, file);
      for (const name of this.#durableNames.keys())
        if (!this.#names.has(name) && random.chance(0.5)) names.delete(name);
    }
    return new Map([...names].map(([name, file]) => [name, lost(file, loss, random)]));
  }

  do(act: Act): void {
    switch (act.is) {
      case 'sent':
        return;
      case 'create':
        if (!this.#names.has(act.name)) this.#names.set(act.name, fileOf(Buffer.alloc(0)));
        return;
      case 'write':
      case 'resize':
        return void this.#file(act.name).pending.push(act);
      case 'remove':
        return void this.#names.delete(act.name);
      case 'rename':
        this.#names.set(act.to, this.#file(act.name));
        return void this.#names.delete(act.name);
      case 'begin':
        return this.#begin(act.thread, act.name);
      case 'end':
        return this.#end(act.thread);
    }
  }

  #file(name: string): File {
    const file = this.#names.get(name);
    if (file === undefined) throw new Error(`there is no ${name}`);
    return file;
  }

  #begin(thread: string, name: string | null): void {
    const file = name === null ? null : this.#file(name);
    const names = new Map(this.#names);
    this.#syncs.set(thread, file === null ? { names } : { file, count: file.pending.length });
  }

  #end(thread: string): void {
    const sync = this.#syncs.get(thread);
    if (sync === undefined) throw new Error(`${thread} has begun no sync`);
    if ('names' in sync) this.#durableNames = sync.names;
    else sync.file.synced.push(...sync.file.pending.splice(0, sync.count));
  }
}

function fileOf(before: Buffer): File {
  return { before, synced: [], pending: [] };
}

/** What was synced, and some of what was not. */
function contentOf({ before, synced }: File, unsynced: readonly Pending[]): Buffer {
  const acts = [...synced, ...unsynced];
  const content = Buffer.alloc(acts.reduce((most, act) => Math.max(most, endOf(act)), before.length));
  before.copy(content);
  let length = before.length;
  for (const act of acts) {
    if (act.is === 'write') act.data.copy(content, act.offset);
    else content.fill(0, act.length);
    length = act.is === 'write' ? Math.max(length, endOf(act)) : act.length;
  }
  return content.subarray(0, length);
}

function endOf(act: Pending): number {
  return act.is === 'write' ? act.offset + act.data.length : act.length;
}

function lost(file: File, loss: Loss, random: Random): Buffer {
  switch (loss) {
    case 'cut':
      return contentOf(file, []);
    case 'zeros':
      return contentOf(file, file.pending.map(emptied));
    case 'torn':
      return contentOf(
        file,
        file.pending.flatMap((act) => torn(act, random)),
      );
  }
}

function emptied(act: Pending): Pending {
  return act.is === 'write' ? { ...act, data: Buffer.alloc(act.data.length) } : act;
}

/** Each sector of a write is there, or is zeros, or was not done; so is each change of length. */
function torn(act: Pending, random: Random): Pending[] {
  if (act.is === 'resize') return random.chance(0.5) ? [act] : [];
  const pieces: Pending[] = [];
  for (let start = 0; start < act.data.length; ) {
    const end = Math.min(act.data.length, start + SECTOR_BYTES - ((act.offset + start) % SECTOR_BYTES));
    const piece = { ...act, offset: act.offset + start, data: act.data.subarray(start, end) };
    const fate = random.whole(3);
    if (fate > 0) pieces.push(fate === 1 ? piece : emptied(piece));
    start = end;
  }
  return pieces;
}

// ---- folders -------------------------------------------------------------------------------------------------------

/** The index of a write-ahead log lives in shared memory: written past strace, and nothing after a power loss. */
const isKept = (name: string) => !name.endsWith('-shm');

export async function readImage(folder: string): Promise<Image> {
  const names = (await readdir(folder)).filter(isKept);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

/** Makes a folder hold an image and nothing else. */
export async function writeImage(folder: string, image: Image): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name));
  for (const [name, content] of image) if (isKept(name)) await writeFile(join(folder, name), content, { mode: 0o600 });
}

/** Names of files that differ, but for ranges of which nobody can know: writes under way when the process ended. */
export function differences(one: Image, other: Image, acts: readonly Act[]): readonly string[] {
  const names = [...new Set([...one.keys(), ...other.keys()])].filter(isKept);
  return names.filter((name) => {
    const unsure = acts.filter((act) => act.is === 'write' && !act.isSure && act.name === name) as Pending[];
    return !known(one.get(name), unsure).equals(known(other.get(name), unsure));
  });
}

/** A file's content with zeros where it is not known. */
function known(content: Buffer = Buffer.alloc(0), unsure: readonly Pending[]): Buffer {
  return contentOf({ before: content, synced: [], pending: [] }, unsure.map(emptied));
}
