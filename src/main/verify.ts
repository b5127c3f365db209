// The command `verify`: its words, its lines, its exit code. Findings go to standard output, one line each, with a last line
// that sums up; how far it is goes to standard error, on a terminal only.
import { lineOf, type Summary, verifyAll } from '../app/audit.ts';
import { readConfig } from '../config.ts';
import { StartError } from '../errors.ts';

const AGREES = 0;
const FINDINGS = 1;
const NOT_DONE = 2;

/** Further ones are only counted. */
const MOST_LINES = 1_000;
const TELL_EVERY_MS = 200;

const HELP = `Compares log, store and watermarks, and the store's views with its changes. Servers may run meanwhile.

  npm run verify                  tells what does not agree, one line each
  npm run verify -- --repair      makes the views anew where they differ; no server may run
  npm run verify -- --help        prints this

It finds log and store by the same settings as the server, and changes nothing. --repair writes views, never
the log or a change: what is wrong with those stays as it is, and is told.

Exit codes: 0 all agrees (or has been mended), 1 something does not, 2 wrong use or environment, or ended early.
`;

export async function verifyCommand(words: readonly string[]): Promise<never> {
  const [word, ...others] = words;
  if (others.length > 0 || (word !== undefined && word !== '--repair' && word !== '--help'))
    throw new StartError(`verify knows no "${words.join(' ')}"; verify --help tells what there is`);
  if (word === '--help') {
    process.stdout.write(HELP);
    process.exit(AGREES);
  }
  process.exit(await run(word === '--repair'));
}

async function run(repair: boolean): Promise<number> {
  // What it copies holds people's messages.
  process.umask(0o077);
  // Nobody reads on (`| head`).
  process.stdout.on('error', () => process.exit(NOT_DONE));
  const lines = new Lines();
  const stop = stopAsked();
  try {
    const summary = await verifyAll(readConfig(), {
      repair,
      onFinding: (finding) => lines.finding(lineOf(finding)),
      onProgress: (doing, done, of) => {
        if (stop.isAsked) throw new StartError('ended early; not all has been looked at');
        lines.progress(doing, done, of);
      },
    });
    lines.clear();
    await written(textOf(summary, lines.untold));
    return summary.open > 0 ? FINDINGS : AGREES;
  } catch (error) {
    lines.clear();
    await written('');
    process.stderr.write(reasonOf(error).replace(/^/gm, 'chatterbox: ').concat('\n'));
    return NOT_DONE;
  }
}

/** What is on its way to a pipe would end with the process. */
function written(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

/** The first signal ends it in order, the second one at once. */
function stopAsked(): { readonly isAsked: boolean } {
  const stop = { isAsked: false };
  const ask = () => {
    if (stop.isAsked) process.exit(NOT_DONE);
    stop.isAsked = true;
  };
  process.on('SIGINT', ask);
  process.on('SIGTERM', ask);
  return stop;
}

function reasonOf(error: unknown): string {
  if (error instanceof StartError) return error.message;
  const { message, cause } = error as Error;
  return `verify could not go on: ${cause instanceof Error ? cause.message : message}`;
}

function textOf({ convs, changes, entries, open, mended, counts, notes }: Summary, untold: number): string {
  const seen = `${changes} changes of ${convs} conversations in the store, and ${entries} in the log`;
  const laws = [...counts].map(([law, count]) => `${law} ${count}`).join(', ');
  const more = untold === 0 ? [] : [`and ${untold} more`];
  return [...more, ...notes, verdict(open, mended, laws), `looked at ${seen}`, ''].join('\n');
}

function verdict(open: number, mended: number, laws: string): string {
  if (open === 0 && mended === 0) return 'log, store and watermarks agree';
  const stand = `${open} finding${open === 1 ? '' : 's'}`;
  return `${mended === 0 ? stand : `${mended} mended, ${open} left`} (${laws})`;
}

class Lines {
  readonly #isTerminal = process.stderr.isTTY;
  #told = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  untold = 0;

  finding(line: string): void {
    this.clear();
    if (this.#told++ < MOST_LINES) process.stdout.write(`${line}\n`);
    else this.untold++;
  }

  progress(doing: string, done: number, of: number): void {
    const nowMs = performance.now();
    if (!this.#isTerminal || nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    const share = of > 0 ? `, ${Math.min(99, Math.floor((100 * done) / of))} %` : '';
    process.stderr.write(`\r\x1b[Kverifying: ${doing}${share}`);
  }

  clear(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
  }
}
