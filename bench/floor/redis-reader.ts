// What a node does with the log before anything of it is its own: XREAD over all parts from its own position, and every
// change read back from its wire, as src/adapters/redis/log-reader.ts does it. Tells what it has read.
import { Redis } from 'ioredis';
import { partKeys } from '../../src/adapters/redis/log-keys.ts';
import { changesOf, type StreamEntry } from '../../src/adapters/redis/log-reader.ts';
import { endWithParent } from './announce.ts';

export interface ReaderAnswer {
  readonly changes: number;
  readonly entries: number;
  readonly replies: number;
}

const BLOCK_MS = 1_000;

const [portText = '', partsText = '1', maxEntriesText = '16'] = process.argv.slice(2);
const redis = new Redis({ host: '127.0.0.1', port: Number(portText) });
const parts = Array.from({ length: Number(partsText) }, (_, part) => part);
const keys = parts.map((part) => partKeys(part).log);
const positions = parts.map(() => '0-0');
let changes = 0;
let entries = 0;
let replies = 0;

async function read(): Promise<void> {
  const words = ['COUNT', maxEntriesText, 'BLOCK', String(BLOCK_MS), 'STREAMS', ...keys, ...positions];
  const reply = ((await redis.call('XREAD', ...words)) ?? []) as readonly unknown[];
  replies++;
  for (let index = 0; index < reply.length; index += 2) {
    const part = keys.indexOf(reply[index] as string);
    for (const entry of reply[index + 1] as readonly StreamEntry[]) onEntry(part, entry);
  }
}

function onEntry(part: number, entry: StreamEntry): void {
  entries++;
  changes += changesOf(part, entry)?.list.length ?? 0;
  positions[part] = entry[0];
}

process.on('message', () => process.send?.({ changes, entries, replies } satisfies ReaderAnswer));
endWithParent();
process.stdout.write('listening on http://nowhere:0\n');
for (;;) await read();
