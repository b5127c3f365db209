// A server that is to run until it is stopped: started, waited for, started again when it dies, ended in order. What it
// writes goes to a file. When this process is gone, however that ended, it is told to end.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '../../src/main/backoff.ts';
import { Failure, type Say } from '../service/failure.ts';

export interface KeptPlan {
  readonly name: string;
  readonly program: string;
  readonly words: readonly string[];
  /** The place of its log. Its working folder is ours: settings may name files from there. */
  readonly folder: string;
  /** Over the environment of this process. */
  readonly env: NodeJS.ProcessEnv;
  /** As it is told. */
  readonly url: string;
  /** Throws, or resolves with false, while it is not ready. */
  readonly isReady: () => Promise<boolean>;
  /** How long it may take to end. */
  readonly killAfterMs: number;
  readonly say: Say;
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One life of the server. */
interface Life {
  readonly child: ChildProcess;
  readonly startedMs: number;
  /** Bytes that were in the log before. */
  readonly logFrom: number;
  readonly ended: Promise<End>;
  isOver: boolean;
}

const READY_POLL_MS = 50;
const READY_TIMEOUT_MS = 120_000;

/** Descriptor 3 is a pipe whose other end we hold: closed when we are gone; a line comes when the server went first. */
const END_WITH_STARTER = `
(read -r _ <&3 || kill -TERM $$) >/dev/null 2>&1 &
exec "$@" 3<&-`;

export class KeptProcess {
  readonly logFile: string;
  readonly #plan: KeptPlan;
  readonly #backoff = new Backoff();
  #life: Life | null = null;
  #isStopping = false;
  #restartTimer: NodeJS.Timeout | undefined;

  constructor(plan: KeptPlan) {
    this.#plan = plan;
    this.logFile = join(plan.folder, `${plan.name}.log`);
  }

  /** Resolves when it is ready; from then on it is kept. @throws Failure with its last words when it ends before */
  async start(): Promise<void> {
    const { name, url, say } = this.#plan;
    const life = this.#spawn('w');
    say(`${name}: ${url} (pid ${life.child.pid}, log ${this.logFile})`);
    if (await this.#becameReady(life)) return void life.ended.then((end) => this.#onEnd(life, end));
    if (!life.isOver) throw new Failure(1, `${name} is not ready yet after ${READY_TIMEOUT_MS / 1000} s; see its log`);
    const { code } = await life.ended;
    throw new Failure(code === 2 ? 2 : 1, `${name} did not start; its last words: ${this.#lastWords(life)}`);
  }

  /** @returns whether it ended by itself and in order */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    const life = this.#life;
    if (life === null || life.isOver) return true;
    life.child.kill('SIGTERM');
    const killing = setTimeout(() => this.#kill(life), this.#plan.killAfterMs);
    const { code, signal } = await life.ended;
    clearTimeout(killing);
    // Without a code: it had not come so far as to know the signal.
    return code === 0 || signal === 'SIGTERM';
  }

  /** In a group of its own: Ctrl-C in a terminal reaches only us, and we say who ends first. */
  #spawn(logMode: 'w' | 'a'): Life {
    const { program, words, env } = this.#plan;
    const log = openSync(this.logFile, logMode, 0o600);
    const logFrom = fstatSync(log).size;
    const child = spawn('/bin/sh', ['-c', END_WITH_STARTER, 'sh', program, ...words], {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
    });
    closeSync(log);
    this.#life = lifeOf(child, logFrom);
    return this.#life;
  }

  async #becameReady(life: Life): Promise<boolean> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!life.isOver && performance.now() < deadline) {
      if (await this.#plan.isReady().catch(() => false)) return !life.isOver;
      await delay(READY_POLL_MS);
    }
    return false;
  }

  #onEnd(life: Life, { code, signal }: End): void {
    if (this.#isStopping) return;
    const { name, say } = this.#plan;
    const afterMs = this.#backoff.after(performance.now() - life.startedMs);
    const words = signal === null ? `: ${this.#lastWords(life)}` : '';
    say(`${name}: ended by ${signal ?? `itself, code ${code}`}; starting it again in ${afterMs} ms${words}`);
    this.#restartTimer = setTimeout(() => this.#startAgain(), afterMs);
  }

  #startAgain(): void {
    const { name, say } = this.#plan;
    const life = this.#spawn('a');
    void life.ended.then((end) => this.#onEnd(life, end));
    void this.#becameReady(life).then((isReady) => {
      if (isReady) say(`${name}: is back (pid ${life.child.pid})`);
    });
  }

  #kill({ child }: Life): void {
    this.#plan.say(`${this.#plan.name}: does not end; killed`);
    child.kill('SIGKILL');
  }

  /** Its last line; of a line for machines what it says to people. */
  #lastWords({ logFrom }: Life): string {
    const text = readFileSync(this.logFile).subarray(logFrom).toString().trim();
    const line = text.split('\n').at(-1) || 'none';
    try {
      const { msg, err } = JSON.parse(line);
      return err === undefined ? msg : `${msg}: ${err.message}`;
    } catch {
      return line;
    }
  }
}

function lifeOf(child: ChildProcess, logFrom: number): Life {
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  const life: Life = { child, startedMs: performance.now(), logFrom, ended, isOver: false };
  const leash = child.stdio[3];
  const onOver = (end: End) => {
    life.isOver = true;
    if (leash instanceof Socket) leash.end('\n');
    resolve(end);
  };
  child.once('error', () => onOver({ code: null, signal: null }));
  child.once('exit', (code, signal) => onOver({ code, signal }));
  if (leash instanceof Socket) leash.on('error', () => {});
  return life;
}
