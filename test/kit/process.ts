// Real servers for tests: spawned as an operator starts them, on a free port of the loopback, with limits off and a data
// folder of their own. Whatever becomes of the test, its servers are killed and its folders removed.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerOptions {
  /** CHAT_ settings, over those of the kit. */
  readonly env?: Readonly<Record<string, string>>;
  /** Kept after the test; without it a fresh folder is made and removed. */
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** What is run instead of Node with src/main.ts. */
  readonly command?: readonly [program: string, ...words: readonly string[]];
}

export interface Program {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** What it has written to standard output and standard error so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when it has written this to either. @throws when it ends before */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
  /** For signals that end it; others go by `process.kill(pid)`. @returns how it ended */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface ServerProcess extends Program {
  /** As printed: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** `ws://127.0.0.1:PORT/ws`. */
  readonly socketUrl: string;
  readonly dataDir: string;
  /** Ends it (kill -9 unless told otherwise) and starts another with the same settings on the same folder. */
  restart(signal?: NodeJS.Signals): Promise<ServerProcess>;
}

const MAIN = join(import.meta.dirname, '../../bin/chatterbox.js');
const END_WITH_PARENT = new URL('./end-with-parent.ts', import.meta.url).href;

/** Limits off: a test that wants one sets it. */
const KIT_ENV = { CHAT_PORT: '0', CHAT_HTTP_RATE: '0', CHAT_AUTH_RATE: '0', CHAT_MESSAGE_RATE: '0' };

/** A fresh folder, removed after the test. */
export async function temporaryFolder(t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chatterbox-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server and waits until it accepts. @throws with what it wrote when it ends before that */
export async function startServer(t: Owner, options: ServerOptions = {}): Promise<ServerProcess> {
  const dataDir = options.dataDir ?? (await temporaryFolder(t));
  const program = new Spawned(t, { ...options, dataDir });
  const [, url = ''] = await program.wrote(/^listening on (\S+)\n/m);
  return Object.assign(program, {
    url,
    socketUrl: `${url.replace('http', 'ws')}/ws`,
    dataDir,
    restart: async (signal: NodeJS.Signals = 'SIGKILL') => {
      await program.kill(signal);
      return startServer(t, { ...options, dataDir });
    },
  });
}

/** Starts the program without waiting for anything: for those that are to end by themselves. */
export async function startProgram(t: Owner, options: ServerOptions = {}): Promise<Program> {
  return new Spawned(t, { ...options, dataDir: options.dataDir ?? (await temporaryFolder(t)) });
}

class Spawned implements Program {
  stdout = '';
  stderr = '';
  readonly pid: number;
  readonly exited: Promise<Exit>;
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(t: Owner, options: ServerOptions & { readonly dataDir: string }) {
    const isEmbedded = (options.env?.CHAT_MODE ?? 'embedded') === 'embedded';
    const data = isEmbedded ? { CHAT_DATA: options.dataDir } : {};
    const env = { ...cleanEnv(), ...KIT_ENV, ...data, ...options.env };
    const usual = [process.execPath, '--import', END_WITH_PARENT, ...(options.nodeArgs ?? []), MAIN] as const;
    const [program, ...words] = options.command ?? usual;
    const child = spawn(program, [...words, ...(options.args ?? [])], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    }) as ChildProcessByStdio<null, Readable, Readable>;
    this.child = child;
    this.pid = child.pid ?? 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    // Not `exited`: a grandchild may hold its output open.
    const gone = new Promise((resolve) => child.once('exit', resolve));
    t.teardown(() => {
      child.kill('SIGKILL');
      return gone;
    });
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }

  wrote(pattern: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (found !== null) resolve(found);
    };
    look();
    this.child.stdout.on('data', look);
    this.child.stderr.on('data', look);
    void this.exited.then(({ code, signal }) =>
      reject(new Error(`ended (code ${code}, signal ${signal}) before it wrote ${pattern}:\n${this.stderr}`)),
    );
    return promise;
  }
}

/** The environment without settings of ours, and without what tap adds for its own children. */
export function cleanEnv(): Record<string, string | undefined> {
  const isForeign = (name: string) => /^(?:NODE_OPTIONS$|CHAT_|TAP|_TAPJS)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)));
}
