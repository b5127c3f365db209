// P14: what an HTTP request costs, by autocannon at a fixed rate over 256 connections: a message written, a page of fifty
// read. The floor is bare Fastify with the same checks; a write may cost the append on top, which is F5's at that rate.
import {
  type Bar,
  type BarResult,
  type Context,
  EMBEDDED_DURABILITY,
  pairedRow,
  plainRow,
  type Row,
} from '../kit/bar.ts';
import { Child } from '../kit/child.ts';
import { cpuBetween, markCpu } from '../kit/cpu.ts';
import { type Audit, newAudit } from '../kit/measure.ts';
import { OTHER_CORES, startFloor } from '../kit/programs.ts';
import type { Scene } from '../kit/scene.ts';
import { SqliteFloor } from '../kit/sqlite-floor.ts';
import { stageServer } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';
import { accessToken, convId } from '../kit/world.ts';
import type { HttpAnswer, HttpOrder } from '../load/http.ts';

const CONNECTIONS = 256;
const PAGE = 50;
const MESSAGES = 200;
/** As long as those the scene is prepared with. */
const TEXT = 'message 123 of many, about as long as people write';
const HTTP_PROGRAM = new URL('../load/http-main.ts', import.meta.url).pathname;

/** Everyone reads one group, and writes to one other person. */
const READ_CONV = 0;
const SCENE: Scene = {
  name: 'http',
  users: CONNECTIONS,
  convs: [
    { kind: 'group', members: Array.from({ length: CONNECTIONS }, (_, user) => user), messages: MESSAGES },
    ...Array.from({ length: CONNECTIONS / 2 }, (_, pair) => {
      return { kind: 'direct', members: [2 * pair, 2 * pair + 1] } as const;
    }),
  ],
};

type Method = HttpOrder['method'];

const pathOf = (conv: number) => `/api/v1/conversations/${convId(conv)}/messages`;

function peopleOf(method: Method) {
  return Array.from({ length: CONNECTIONS }, (_, user) => ({
    token: accessToken(user),
    path: pathOf(method === 'GET' ? READ_CONV : 1 + (user >> 1)),
  }));
}

interface Cost {
  /** Of the subject, per request. */
  readonly cpuUs: number;
  readonly p99Ms: number;
  readonly answered: number;
}

class Requests {
  readonly #generator = new Child({ args: [HTTP_PROGRAM], cores: OTHER_CORES, channel: true });
  readonly #seconds: number;
  readonly audit: Audit = newAudit();

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  async cost(subject: { readonly pid: number }, port: number, method: Method, perSecond: number): Promise<Cost> {
    const url = `http://127.0.0.1:${port}`;
    const seconds = this.#seconds;
    const order: HttpOrder = {
      url,
      method,
      people: peopleOf(method),
      connections: CONNECTIONS,
      perSecond,
      seconds,
      text: TEXT,
    };
    const before = markCpu(subject.pid);
    const { answered, non2xx, errors, p99Ms, statuses } = (await this.#generator.ask(order)) as HttpAnswer;
    const cpuUs = cpuBetween(before, markCpu(subject.pid)) / answered;
    this.audit.refused += non2xx;
    this.audit.dropped += errors;
    if (non2xx > 0) throw new Error(`answers: ${JSON.stringify(statuses)}`);
    return { cpuUs, p99Ms, answered };
  }

  stop(): Promise<void> {
    return this.#generator.stop();
  }
}

/** How many messages the pairs hold, by their own numbers. */
async function written(port: number): Promise<number> {
  let total = 0;
  for (let conv = 1; conv < SCENE.convs.length; conv++) {
    const headers = { authorization: `Bearer ${accessToken(2 * (conv - 1))}` };
    const answer = await fetch(`http://127.0.0.1:${port}${pathOf(conv)}?limit=1`, { headers });
    const { items } = (await answer.json()) as { items: readonly { readonly n: number }[] };
    total += items.at(-1)?.n ?? 0;
  }
  return total;
}

interface MethodFigures {
  readonly floors: number[];
  readonly servers: number[];
  readonly p99: number[];
}

type Figures = Readonly<Record<Method, MethodFigures>> & { readonly appends: number[] };

const newMethodFigures = (): MethodFigures => ({ floors: [], servers: [], p99: [] });

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const perSecond = quick ? 512 : 1_024;
  const seconds = quick ? 2 : 5;
  const server = await stageServer({ scene: SCENE, say });
  const floor = startFloor('fastify-http.ts', [String(PAGE), String(TEXT.length)]);
  const floorPort = await floor.listening();
  const sqlite = await SqliteFloor.start();
  const requests = new Requests(seconds);
  const [serverPort = 0] = server.ports;
  const figures: Figures = { GET: newMethodFigures(), POST: newMethodFigures(), appends: [] };
  let posted = 0;
  for (const method of ['GET', 'POST'] as const) posted += await warm(method);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const method of ['GET', 'POST'] as const) {
      const bare = await requests.cost(floor, floorPort, method, perSecond);
      const real = await requests.cost(server.child, serverPort, method, perSecond);
      figures[method].floors.push(bare.cpuUs);
      figures[method].servers.push(real.cpuUs);
      figures[method].p99.push(real.p99Ms);
      if (method === 'POST') posted += real.answered;
      say(`${method}: bare Fastify ${Math.round(bare.cpuUs)} µs, server ${Math.round(real.cpuUs)} µs a request`);
    }
    const window = { warmMs: 300, windowMs: seconds * 1_000 };
    const idle = await sqlite.atRate(0, window);
    const append = await sqlite.atRate(perSecond, window);
    figures.appends.push((append.cpuUs - (idle.cpuUs / idle.seconds) * append.seconds) / append.rows);
  }
  requests.audit.lost = Math.max(0, posted - (await written(serverPort)));
  await requests.stop();
  await floor.stop();
  await sqlite.stop();
  await server.stop();
  const rows = rowsOf(perSecond, figures);
  return { rows, audit: requests.audit, loadCpu: 0, durability: EMBEDDED_DURABILITY };

  async function warm(method: Method): Promise<number> {
    await requests.cost(floor, floorPort, method, perSecond);
    const { answered } = await requests.cost(server.child, serverPort, method, perSecond);
    return method === 'POST' ? answered : 0;
  }
}

function rowsOf(perSecond: number, figures: Figures): Row[] {
  const at = `at ${perSecond}/s over ${CONNECTIONS} connections`;
  return [
    pairedRow({
      what: `CPU per GET of ${PAGE} messages, ${at}`,
      unit: 'µs',
      floorName: 'Fastify',
      ...figures.GET,
      limit: '≤ 1.6 ×',
      isMet: (ratio) => ratio <= 1.6,
    }),
    pairedRow({
      what: `CPU per POST of a message, ${at}`,
      unit: 'µs',
      floorName: 'Fastify',
      ...figures.POST,
      limit: '≤ 1.6 × + F5',
      isMet: () => median(figures.POST.servers) <= 1.6 * median(figures.POST.floors) + median(figures.appends),
    }),
    plainRow({ what: `F5: CPU per append at ${perSecond}/s`, unit: 'µs', servers: figures.appends }),
    plainRow({ what: 'GET p99', unit: 'ms', servers: figures.GET.p99 }),
    plainRow({ what: 'POST p99', unit: 'ms', servers: figures.POST.p99 }),
  ];
}

export const p14: Bar = { id: 'P14', title: 'HTTP: messages written and read', fullSeconds: 200, run };
