// What people keep of their talks: an mbox, the log of an IRC client, JSON lines. Which of them a file is, its first line
// tells. Read as a stream: a file may be larger than the memory.
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import PostalMime from 'postal-mime';

export interface Line {
  /** Who said it, as the file has it. */
  readonly from: string;
  readonly text: string;
  /** When, in Unix ms; undefined where the file does not say. */
  readonly at: number | undefined;
  readonly room: string;
  /** What it is called by those that answer it, and what it answers. */
  readonly name?: string | undefined;
  readonly answers?: string | undefined;
}

export type Format = 'mbox' | 'irc' | 'jsonl';

/** Raised with one line for people. */
export class NoFormat extends Error {}

export async function* readLines(file: string): AsyncGenerator<Line, void> {
  const room = basename(file).replace(/(\.(mbox|mbx|log|txt|jsonl?|ndjson|gz))+$/i, '');
  const rows = rowsOf(file);
  const first = await rows.next();
  const format = first.done === true ? undefined : formatOf(first.value);
  if (first.done === true || format === undefined)
    throw new NoFormat(`${file} is no mbox, no IRC log and no JSON lines; it begins with ${quote(first.value ?? '')}`);
  const bytes = joined(first.value, rows);
  yield* READERS[format](format === 'mbox' ? bytes : decoded(bytes), room);
}

/** The mark that some editors put before UTF-8, in bytes. */
const BOM = '\xEF\xBB\xBF';

/** By the first line that is not empty. */
export function formatOf(row: string): Format | undefined {
  if (row.startsWith(BOM)) return formatOf(row.slice(BOM.length));
  if (row.startsWith('From ')) return 'mbox';
  if (row.startsWith('{')) return 'jsonl';
  return ircLine(row) === undefined && !DAY.test(row) ? undefined : 'irc';
}

/** Rows of bytes, a character a byte: mails have character sets of their own. */
async function* rowsOf(file: string): AsyncGenerator<string, void> {
  const bytes = createReadStream(file);
  const input = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
  // A pipe passes no errors on.
  bytes.on('error', (error) => input.destroy(error));
  input.setEncoding('latin1');
  let isBlank = true;
  for await (const row of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    isBlank &&= row.trim() === '';
    if (!isBlank) yield row;
  }
}

async function* decoded(rows: AsyncIterable<string>): AsyncGenerator<string, void> {
  for await (const row of rows) yield Buffer.from(row, 'latin1').toString();
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string, void> {
  yield first.startsWith(BOM) ? first.slice(BOM.length) : first;
  yield* rest;
}

const READERS: Readonly<Record<Format, (rows: AsyncIterable<string>, room: string) => AsyncGenerator<Line, void>>> = {
  mbox: readMbox,
  irc: readIrc,
  jsonl: readJson,
};

// ---- mbox (RFC 4155; lines of a text that begin with `From ` are quoted with `>`) -----------------------------------

async function* readMbox(rows: AsyncIterable<string>, room: string): AsyncGenerator<Line, void> {
  let mail: string[] = [];
  let isAfterBlank = true;
  for await (const row of rows) {
    if (isAfterBlank && row.startsWith('From ')) {
      if (mail.length > 0) yield* mailLine(mail, room);
      mail = [];
    } else mail.push(row.replace(/^>(>*From )/, '$1'));
    isAfterBlank = row === '';
  }
  if (mail.length > 0) yield* mailLine(mail, room);
}

async function* mailLine(mail: readonly string[], room: string): AsyncGenerator<Line, void> {
  const bytes = Buffer.from(mail.join('\r\n'), 'latin1');
  const { from, date, subject, text, messageId, inReplyTo } = await PostalMime.parse(bytes);
  const body = (text ?? '').replaceAll('\r\n', '\n').trim();
  const said = [inReplyTo === undefined ? (subject ?? '') : '', body].filter((part) => part !== '').join('\n\n');
  const who = from?.name || from?.address;
  if (said === '' || who === undefined) return;
  yield { from: who, text: said, at: timeOf(date), room, name: messageId, answers: inReplyTo };
}

// ---- IRC ------------------------------------------------------------------------------------------------------------

/** `[12:34:56] <@ann> hello`, `2024-05-01 12:34 <ann> hello`, `2024-05-01T12:34:56  * ann waves`, WeeChat's tabs. */
const STAMP = /^\[?(?:(?<day>\d{4}-\d\d-\d\d)[ T])?(?<time>\d\d?:\d\d(?::\d\d)?)\]?\s+/;
const SAID = /^<[ @+%&~]?(?<from>[^>\s]+)>\s(?<text>.*)$/;
const DID = /^\*\s(?<from>[^\s*]+)\s(?<text>.+)$/;
const TABBED = /^[@+%&~]?(?<from>[^\t\s]+)\t(?<text>.*)$/;
/** irssi: `--- Day changed Wed May 01 2024`, `--- Log opened Wed May 01 10:00:00 2024`. */
const DAY = /^--- (?:Day changed|Log opened) (?<date>.+)$/;

async function* readIrc(rows: AsyncIterable<string>, room: string): AsyncGenerator<Line, void> {
  let day: string | undefined;
  for await (const row of rows) {
    const changed = timeOf(DAY.exec(row)?.groups?.date);
    if (changed !== undefined) day = localDay(changed);
    const line = ircLine(row);
    if (line === undefined || line.text.trim() === '') continue;
    day = line.day ?? day;
    const at = day === undefined ? undefined : timeOf(`${day}T${line.time.padStart(5, '0')}`);
    yield { from: line.from, text: line.text, at, room };
  }
}

function ircLine(row: string) {
  const stamp = STAMP.exec(row);
  if (stamp === null) return undefined;
  const { day, time = '' } = stamp.groups ?? {};
  const rest = row.slice(stamp[0].length);
  const did = DID.exec(rest)?.groups;
  const { from = '', text = '' } = SAID.exec(rest)?.groups ?? did ?? TABBED.exec(rest)?.groups ?? {};
  if (from === '' || /^(-->|<--|--|-!-|=!=)$/.test(from)) return undefined;
  return { day, time, from, text: did === undefined ? text : `* ${from} ${text}` };
}

function localDay(ms: number): string {
  const date = new Date(ms);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => `${part}`.padStart(2, '0')).join('-');
}

// ---- JSON lines -----------------------------------------------------------------------------------------------------

const NAMES = {
  from: ['from', 'user', 'author', 'nick', 'name', 'sender', 'username'],
  text: ['text', 'body', 'message', 'content', 'msg'],
  at: ['at', 'time', 'ts', 'date', 'timestamp', 'created_at'],
  room: ['room', 'channel', 'conv', 'conversation', 'group'],
  name: ['id', 'message_id'],
  answers: ['reply', 'reply_to', 'in_reply_to', 'thread_ts'],
} as const;

async function* readJson(rows: AsyncIterable<string>, fallback: string): AsyncGenerator<Line, void> {
  let number = 0;
  for await (const row of rows) {
    number++;
    if (row.trim() === '') continue;
    const entry = parsed(row, number);
    const field = (names: readonly string[]) => names.map((name) => entry[name]).find((value) => value != null);
    const [from, text] = [field(NAMES.from), field(NAMES.text)];
    if (typeof text !== 'string' || text === '' || from === undefined) continue;
    const word = (names: readonly string[]) => (field(names) === undefined ? undefined : String(field(names)));
    yield {
      from: nameIn(from),
      text,
      at: timeOf(field(NAMES.at)),
      room: word(NAMES.room) ?? fallback,
      name: word(NAMES.name),
      answers: word(NAMES.answers),
    };
  }
}

function parsed(row: string, number: number): Readonly<Record<string, unknown>> {
  try {
    const entry: unknown = JSON.parse(row);
    if (typeof entry === 'object' && entry !== null) return entry as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new NoFormat(`line ${number} is no JSON object: ${quote(row)}`);
}

/** `"ann"`, or `{"name":"ann"}` as some exports have it. */
function nameIn(from: unknown): string {
  if (typeof from !== 'object' || from === null) return String(from);
  const { displayName, username, name } = from as Record<string, unknown>;
  return String(displayName ?? name ?? username ?? JSON.stringify(from));
}

/** Seconds or ms since 1970, or what `Date` reads. */
function timeOf(value: unknown): number | undefined {
  const number =
    typeof value === 'number' ? value : /^\d{9,}(\.\d+)?$/.test(String(value)) ? Number(value) : Number.NaN;
  const ms = Number.isNaN(number) ? Date.parse(String(value)) : number < 1e11 ? number * 1_000 : number;
  return Number.isNaN(ms) ? undefined : Math.round(ms);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
