// A process that appends to a SQLite log until it is killed. Prints a line for what it was told and what its tail saw:
// `open`, `ok <conv> <seq> <n> <at> <key>`, `seen <offset> <conv> <seq>`, `failed <code>`, or `refused <reason>`.
// Arguments: the folder, a number that makes its keys its own.
import { writeSync } from 'node:fs';
import type { Log } from '../../src/ports/log.ts';
import { LogFolder } from './log-folder.ts';
import { appendOne, conv, creation, key, message } from './log-items.ts';

const WRITERS = 8;
const PAUSE_MS = 20;

/** Written when the call returns: what a killed process had said is not lost with it. The pipe does not block, so wait. */
function say(line: string): void {
  let rest = Buffer.from(`${line}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function write(log: Log, run: string, writer: number): Promise<never> {
  for (let turn = 0; ; turn++) {
    const where = conv(`${run}_${(writer + turn) % 5}`);
    const id = key(`r${run}w${writer}t${turn}`);
    try {
      await appendOne(log, creation(where));
      const appended = await appendOne(log, message(where, { key: id }));
      if (appended.is === 'ok') say(`ok ${where} ${appended.seq} ${appended.n} ${appended.at} ${id}`);
    } catch (error) {
      say(`failed ${(error as { code?: string }).code}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function follow(log: Log): Promise<void> {
  for await (const changes of log.tail(await log.readIndex())) {
    for (const change of changes) say(`seen ${change.offset} ${change.conv} ${change.seq}`);
  }
}

async function main([folder = '', run = '']: readonly string[]): Promise<void> {
  try {
    const log = await new LogFolder(folder).open();
    say('open');
    await Promise.all([follow(log), ...Array.from({ length: WRITERS }, (_, writer) => write(log, run, writer))]);
  } catch (error) {
    say(`refused ${(error as Error).name} ${(error as Error).message}`);
  }
}

await main(process.argv.slice(2));
