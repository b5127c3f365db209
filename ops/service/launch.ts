// Servers on the loopback: a free port, the process, and the wait until it answers. A server either lives as long as the
// process that started it (tests) or stays behind (`ops/services up`). Nothing here knows which server it is.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import { undoable } from './interrupt.ts';

export interface ServerPlan {
  readonly name: string;
  readonly program: string;
  /** Its own folder; the server's working folder and the place of its output. */
  readonly dir: string;
  /** Fixed, or any free one. */
  readonly port?: number;
  readonly words: (port: number) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Throws, or resolves with false, while the server is not ready. The number tells it from another that took the port. */
  readonly isReady: (port: number, pid: number) => Promise<boolean>;
  /** `stays` until somebody ends it; the others end with this process, however that ends, `dir` too with the last. */
  readonly life: 'stays' | 'ends with us' | 'ends with us, and its folder';
}

export interface Server {
  readonly pid: number;
  readonly port: number;
  /** The file that holds what it wrote. */
  readonly outputFile: string;
  readonly exited: Promise<void>;
  /** @returns when it is gone; with SIGSTOP and SIGCONT use `signal` */
  end(signal: NodeJS.Signals): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

/** Below the range that systems take for outgoing connections, so that a server finds its port free when it comes again;
 * and low enough for the second port of a Redis Cluster node, 10000 above. */
const PORTS = { from: 10_000, to: 22_000 };
const CLUSTER_BUS_OFFSET = 10_000;
const PORT_ATTEMPTS = 5;
const READY_POLL_MS = 10;
const READY_TIMEOUT_MS = 60_000;

/** Without this, a server would outlive a test that was killed. Descriptor 3 is a pipe whose other end we hold: it is closed
 * when we are gone, and brings a line when the server went first. `$0` is a folder to remove, or empty. */
const END_WITH_STARTER = `
(read -r _ <&3 || { kill -9 $$; rm -rf "$0" || rm -rf "$0"; }) >/dev/null 2>&1 &
exec "$@" 3<&-`;

/** Starts it and waits until it is ready. @throws Failure with its last words when it ends before that */
export async function launch(plan: ServerPlan): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const port = plan.port ?? (await freePort());
    const server = start(plan, port);
    const undo = () => server.end('SIGKILL');
    const isReady = await undoable(undo, () => becameReady(plan, server));
    if (isReady) return server;
    const words = lastWords(server.outputFile);
    // Somebody else may take the port between our look and the server's.
    if (/address already in use/i.test(words) && plan.port === undefined && attempt < PORT_ATTEMPTS) continue;
    throw new Failure(1, `${plan.name} did not start; its last words: ${words}`);
  }
}

/** A port of the loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if ((await isFree(port)) && (await isFree(port + CLUSTER_BUS_OFFSET))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function start(plan: ServerPlan, port: number): Server {
  const outputFile = join(plan.dir, `${plan.name}.out`);
  const output = openSync(outputFile, 'w', 0o600);
  const [program, ...words] = commandOf(plan, port);
  const child = spawn(program, words, {
    cwd: plan.dir,
    env: { ...process.env, ...plan.env },
    detached: plan.life === 'stays',
    // Not the standard input: Node closes that when the child ends, before we can write the line.
    stdio: ['ignore', output, output, plan.life === 'stays' ? 'ignore' : 'pipe'],
  });
  closeSync(output);
  return serverOf(child, port, outputFile);
}

function commandOf(plan: ServerPlan, port: number): readonly [string, ...string[]] {
  const words = plan.words(port);
  if (plan.life === 'stays') return [plan.program, ...words];
  const folderToRemove = plan.life === 'ends with us' ? '' : plan.dir;
  return ['/bin/sh', '-c', END_WITH_STARTER, folderToRemove, plan.program, ...words];
}

/** Neither the child nor the pipe to it keeps this process alive, unless somebody waits for its end. */
function serverOf(child: ChildProcess, port: number, outputFile: string): Server {
  const leash = child.stdio[3];
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => {
      if (leash instanceof Socket) leash.end('\n');
      resolve();
    });
  });
  if (leash instanceof Socket) leash.on('error', () => {}).unref();
  child.unref();
  const signal = (name: NodeJS.Signals) => void child.kill(name);
  const end = (name: NodeJS.Signals) => {
    child.ref();
    signal(name);
    return exited;
  };
  return { pid: child.pid ?? 0, port, outputFile, exited, end, signal };
}

async function becameReady(plan: ServerPlan, server: Server): Promise<boolean> {
  let isGone = false;
  void server.exited.then(() => {
    isGone = true;
  });
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!isGone && Date.now() < deadline) {
    if (await plan.isReady(server.port, server.pid).catch(() => false)) return !isGone;
    await delay(READY_POLL_MS);
  }
  await server.end('SIGKILL');
  return false;
}

function lastWords(outputFile: string): string {
  const lines = readFileSync(outputFile, 'utf8').trim().split('\n');
  return lines.slice(-3).join(' | ').slice(-600) || 'none';
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    const socket = connect(port, '127.0.0.1', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** Sends one line to a port and resolves with the first bytes of the answer. */
export function ask(port: number, line: string, timeoutMs = 1000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(line));
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')));
    socket.once('data', (data) => {
      resolve(data.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
}
