// The parts of a cluster on this machine, in the order they start and the order they end. Services that were up before,
// or are somebody else's, are used and left alone.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../../src/errors.ts';
import { refusePortInUse } from '../../src/main/free-port.ts';
import { makeStateFolder, ROOT } from '../service/cache.ts';
import { Failure, type Say } from '../service/failure.ts';
import { ask, freePort } from '../service/launch.ts';
import { nginxUrl, nginxWords, writeNginxFiles } from '../service/nginx.ts';
import { findProgram } from '../service/programs.ts';
import { BorrowedServices } from './borrowed-services.ts';
import { claim } from './claim.ts';
import { KeptProcess } from './kept-process.ts';
import { checkedSettings, nodeSettings } from './node-settings.ts';

export interface ClusterOptions {
  readonly nodes: number;
  /** Of nginx; 0 = any free one. */
  readonly port: number;
  readonly say: Say;
}

const HOST = '127.0.0.1';
/** After its drain time a node that hangs ends itself within 7 s. */
const NODE_HANG_MS = 10_000;
const NGINX_HANG_MS = 5_000;

/** What all nodes have in common. */
interface Ground {
  readonly folder: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly drainTimeMs: number;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #services: BorrowedServices;
  #release = () => {};
  #nodes: readonly KeptProcess[] = [];
  #nginx: KeptProcess | null = null;
  #isStopping = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#services = new BorrowedServices(['redis', 'mongo'], options.say);
  }

  /**
   * What only the user can mend is found before anything starts.
   * @returns the URL when all nodes, and nginx with them, are ready
   * @throws Failure; `stop` is still to be called
   */
  async start(): Promise<string> {
    const { nodes, say } = this.#options;
    const { drainTimeMs } = await this.#check();
    const folder = join(makeStateFolder(), 'cluster');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#release = claim(join(folder, 'runs'));
    const { path: nginx } = await findProgram('nginx', (line) => say(`nginx: ${line}`));
    this.#goOn();
    await this.#services.up();
    const [nginxPort = 0, ...ports] = await choosePorts(this.#options.port, nodes);
    const settings = await this.#services.settings();
    this.#goOn();
    this.#nodes = ports.map((port, i) => this.#node(`node-${i + 1}`, port, { folder, settings, drainTimeMs }));
    await Promise.all(this.#nodes.map((node) => node.start()));
    this.#goOn();
    this.#nginx = this.#front(nginx, nginxPort, ports, join(folder, 'nginx'));
    await this.#nginx.start();
    return nginxUrl(nginxPort);
  }

  /**
   * Clients hear the nodes' goodbye through nginx, and the nodes write their last to the services.
   * @returns whether all ended in order
   */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    await this.#services.settle();
    const drained = await Promise.all(this.#nodes.map((node) => node.stop()));
    const isNginxEnded = (await this.#nginx?.stop()) ?? true;
    await this.#services.giveBack();
    this.#release();
    return isNginxEnded && drained.every((isInOrder) => isInOrder);
  }

  async #check(): Promise<{ readonly drainTimeMs: number }> {
    if (!existsSync(join(ROOT, 'node_modules/mongodb'))) {
      throw new Failure(2, 'packages are missing; run "npm ci" first');
    }
    if (this.#options.port !== 0)
      await told(refusePortInUse('--port', HOST, this.#options.port), '; 0 is any free one');
    return told(Promise.try(checkedSettings));
  }

  #node(name: string, port: number, { folder, settings, drainTimeMs }: Ground): KeptProcess {
    return new KeptProcess({
      name,
      program: process.execPath,
      words: [join(ROOT, 'bin/chatterbox.js')],
      folder,
      env: { ...settings, ...nodeSettings(port) },
      url: `http://${HOST}:${port}`,
      isReady: () => isReady(port),
      killAfterMs: drainTimeMs + NODE_HANG_MS,
      say: this.#options.say,
    });
  }

  #front(program: string, port: number, nodePorts: readonly number[], folder: string): KeptProcess {
    writeNginxFiles(
      folder,
      port,
      nodePorts.map((nodePort) => `${HOST}:${nodePort}`),
    );
    return new KeptProcess({
      name: 'nginx',
      program,
      // Workers would run as another user, who may not enter this folder.
      words: [...nginxWords(folder), '-g', 'master_process off;'],
      folder,
      env: {},
      url: nginxUrl(port),
      isReady: () => isReady(port),
      killAfterMs: NGINX_HANG_MS,
      say: this.#options.say,
    });
  }

  /** What begins after the signal would never be told to end. */
  #goOn(): void {
    if (this.#isStopping) throw new Failure(1, 'interrupted');
  }
}

/** What the server would tell its operator. */
function told<T>(checking: Promise<T>, advice = ''): Promise<T> {
  return checking.catch((error: unknown) => {
    throw error instanceof StartError ? new Failure(2, error.message + advice, error) : error;
  });
}

async function isReady(port: number): Promise<boolean> {
  return (await ask(port, `GET /ready HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`, 5000)).startsWith('HTTP/1.1 200');
}

/** nginx's first: the wanted one, unless that is 0. Nobody listens yet, so that two could be the same. */
async function choosePorts(wanted: number, nodes: number): Promise<readonly number[]> {
  const ports = new Set(wanted === 0 ? [] : [wanted]);
  while (ports.size < nodes + 1) ports.add(await freePort());
  return [...ports];
}
