// The README's own commands: its one-liner, as it stands on the page, chats with a server.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { startServer } from '../kit/process.ts';

const page = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The program between the quotes of the page's `node -e '…'`. */
function oneLiner(address: string): string {
  const program = /node --input-type=module -e '([^']+)' ann/.exec(page)?.[1];
  if (program === undefined) throw new Error('the page has no one-liner');
  return program.replace('127.0.0.1:3000', new URL(address).host);
}

interface Person {
  readonly process: ChildProcess;
  say(line: string): void;
  /** Resolves when this line is printed. */
  reads(line: string): Promise<void>;
}

function person(t: Test, address: string, name: string): Person {
  const child = spawn(process.execPath, ['--input-type=module', '-e', oneLiner(address), name], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const printed: string[] = [];
  let onLine = () => {};
  createInterface({ input: child.stdout }).on('line', (line) => {
    printed.push(line);
    onLine();
  });
  return {
    process: child,
    say: (line) => child.stdin.write(`${line}\n`),
    reads: (line) =>
      new Promise((resolve) => {
        onLine = () => printed.includes(line) && resolve();
        onLine();
      }),
  };
}

t.test("the README's one-liner chats", async (t) => {
  const server = await startServer(t);
  const ann = person(t, server.url, 'ann');
  // The answer to its join, then to what it says.
  await ann.reads('+');
  const bob = person(t, server.url, 'bob');
  await bob.reads('+');
  ann.say('anybody here?');
  await bob.reads('ann: anybody here?');
  bob.say('me');
  await ann.reads('bob: me');
  t.pass('both read each other');
});
