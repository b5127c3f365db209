// Child processes of the bench: started on given cores, known when they accept, killed when the bench ends in any
// way it can notice. Floors and generators also end by themselves when their channel to the bench closes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const alive = new Set<ChildProcess>();

export function killChildren(): void {
  for (const child of alive) child.kill('SIGKILL');
}

export interface ChildOptions {
  /** Node's own arguments, then the program's. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Cores to stay on, as taskset writes them; null = any. */
  readonly cores: string | null;
  /** A channel for orders; its closing ends the child. */
  readonly channel: boolean;
}

export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<null>;
  #answers: ((answer: unknown) => void)[] = [];
  #errors = '';

  constructor({ args, env, cores, channel }: ChildOptions) {
    const command = [process.execPath, ...args];
    if (cores !== null) command.unshift('taskset', '-c', cores);
    const [program = '', ...rest] = command;
    this.#process = spawn(program, rest, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])],
    });
    if (this.#process.pid === undefined) throw new Error(`${program} did not start`);
    this.pid = this.#process.pid;
    alive.add(this.#process);
    this.#ended = once(this.#process, 'exit').then(() => {
      alive.delete(this.#process);
      return null;
    });
    this.#process.on('message', (answer) => this.#answers.shift()?.(answer));
    this.#process.stderr?.on('data', (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-16_384);
    });
  }

  /** The end of what it wrote to standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** The port of the line `listening on http://HOST:PORT`. */
  async listening(timeoutMs = 60_000): Promise<number> {
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('no standard output');
    const port = Promise.withResolvers<number>();
    void this.#ended.then(() => port.reject(new Error(`ended before it accepted:\n${this.#errors}`)));
    const timer = setTimeout(() => port.reject(new Error(`did not accept in ${timeoutMs} ms`)), timeoutMs);
    createInterface(stdout).on('line', (line) => {
      const found = /^listening on http:\/\/\S+:(\d+)$/.exec(line);
      if (found !== null) port.resolve(Number(found[1]));
    });
    return port.promise.finally(() => clearTimeout(timer));
  }

  /** One order, one answer, in order. */
  async ask(order: object): Promise<unknown> {
    const answered = new Promise<unknown>((resolve) => this.#answers.push(resolve));
    this.#process.send(order);
    const answer = await Promise.race([answered, this.#ended]);
    if (answer === null) throw new Error(`ended instead of answering:\n${this.#errors}`);
    return answer;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Asks it to end, and kills it when it takes too long. */
  async stop(patienceMs = 5_000): Promise<void> {
    if (!alive.has(this.#process)) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), patienceMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
