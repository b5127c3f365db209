// What F4 sends: a row as long as a message's wire, by XADD, or through the append script of the real log with everything
// the script does (head, guard, key, number, wire, one entry), and nothing of the server around it.
import { createHash } from 'node:crypto';
import { partKeys } from '../../src/adapters/redis/log-keys.ts';
import { appendScript, type Script } from '../../src/adapters/redis/log-scripts.ts';
import type { ConvId, Key, UserId } from '../../src/protocol/ids.ts';
import { command } from './redis-wire.ts';

/** `each`: the script with one entry a change in place of one entry a call. */
export type RedisFormat = 'xadd' | 'packed' | 'each';

const CONVS = 200;
const TEXT = 'x'.repeat(24);
const EPOCH = 1;
const BUDGET_BYTES = 2 ** 40;
/** As of a conversation that has been made: seq, n, guard, at, and of which epoch and sweep of heads it is. */
const HEAD = `1 0 1 0 ${EPOCH}:0`;
/** Of a message with the text above. */
const WIRE = 'x'.repeat(200);

/** Lines of an answer: XADD gives a bulk string; the script an array of a bulk string, a number, another two, and a bulk string. */
const LINES: Readonly<Record<RedisFormat, number>> = { xadd: 2, packed: 9, each: 9 };

export function linesOf(format: RedisFormat): number {
  return LINES[format];
}

const PACKED_ADD =
  "local added = redis.pcall('XADD', log, text_of(head_offset) .. '-0', 'b', bytes, 'e', ARGV[1], 'w', text)";
const EACH_ADD = `local added
  local each = offset
  for wire in string.gmatch(text, '[^\\n]+') do
    each = each + 1
    added = redis.pcall('XADD', log, text_of(each) .. '-0', 'b', bytes, 'e', ARGV[1], 'w', wire)
  end`;

export function scriptOf(format: RedisFormat, part: number): Script {
  const script = appendScript(part, 'bench');
  if (format === 'packed') return script;
  const text = script.text.replace(PACKED_ADD, EACH_ADD);
  if (text === script.text) throw new Error('the append script does not add its entry as it used to');
  return { text, sha: shaOf(text) };
}

/** Commands that make a part ready for the script. */
export function beginPart(format: RedisFormat, part: number): string {
  const { meta } = partKeys(part);
  const begin = command(['HSET', meta, 'epoch', EPOCH, 'head', 0, 'bytes', 0, 'trimmed', 0, 'trimmed_bytes', 0]);
  return begin + command(['SCRIPT', 'LOAD', scriptOf(format, part).text]);
}

let count = 0;

/** Commands that add some rows to a part: one XADD a row, or one call of the script. */
export function addRows(format: RedisFormat, part: number, rows: number): string {
  if (format === 'xadd') return command(['XADD', partKeys(part).log, '*', 'b', count++, 'w', WIRE]).repeat(rows);
  const { log, meta, heads, receipts, ahead } = partKeys(part);
  const words: (string | number)[] = [];
  for (let row = 0; row < rows; row++) words.push(...itemOf(count++, part));
  const call = ['EVALSHA', scriptShas(format, part), 5, log, meta, heads, receipts, ahead];
  return command([...call, EPOCH, 0, BUDGET_BYTES, '', ...words]);
}

/** As log-append.lua reads an item; the head it brings holds where there is none yet. */
function itemOf(number: number, part: number): (string | number)[] {
  const conv = `bench-conv-of-${part}-${String(number % CONVS).padStart(5, '0')}` as ConvId;
  const user = `bench-user-${String(number % CONVS).padStart(5, '0')}` as UserId;
  const nowMs = Date.now();
  const ms = nowMs.toString(16).padStart(12, '0');
  const key = `${ms.slice(0, 8)}-${ms.slice(8)}-7abc-8def-${number.toString(16).padStart(12, '0')}` as Key;
  return [`${conv} ${user} ${key} ${nowMs} 1 - message ${HEAD}`, `"text":"${TEXT}"`];
}

const shas = new Map<string, string>();

function scriptShas(format: RedisFormat, part: number): string {
  const name = `${format} ${part}`;
  const known = shas.get(name) ?? scriptOf(format, part).sha;
  shas.set(name, known);
  return known;
}

function shaOf(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
