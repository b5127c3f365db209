// F4: rows appended to Redis alone, by pipelined XADD or by the append script, one call under way a part as the server
// does it: what falls due meanwhile goes with the next one. Either at a fixed rate, or as fast as it goes.
import { endWithParent } from './announce.ts';
import { addRows, beginPart, linesOf, type RedisFormat } from './redis-rows.ts';
import { RedisWire } from './redis-wire.ts';

export type RedisOrder =
  | { readonly do: 'rate'; readonly perSecond: number }
  /** Always `batch` rows under way in each part; with XADD as many commands. */
  | { readonly do: 'flat-out'; readonly batch: number; readonly ms: number }
  | { readonly do: 'stop' }
  | { readonly do: 'look' };

export interface RedisAnswer {
  /** Rows acknowledged, and calls that brought them, since the program began. */
  readonly rows: number;
  readonly calls: number;
}

const MAX_CALL_ROWS = 512;

const [portText = '', formatText = 'xadd', partsText = '1'] = process.argv.slice(2);
const port = Number(portText);
const format = formatText as RedisFormat;
const parts = Array.from({ length: Number(partsText) }, (_, part) => part);

let rows = 0;
let calls = 0;
let timer: NodeJS.Timeout | undefined;
const due = parts.map(() => 0);
const underWay = parts.map(() => 0);
/** Rows of one call where it goes flat out. */
let flatOutRows = 0;
let onIdle: (() => void) | null = null;

/** One connection for all parts, as in the server: answers come in the order of the calls. */
const order: number[] = [];
const wire = new RedisWire(port, linesOf(format), (count) => {
  for (let index = 0; index < count; index++) onAnswer();
});

function onAnswer(): void {
  const part = order.shift() as number;
  const answered = format === 'xadd' ? 1 : (underWay[part] ?? 0);
  rows += answered;
  underWay[part] = (underWay[part] ?? 0) - answered;
  if ((underWay[part] ?? 0) > 0) return;
  if (flatOutRows > 0) due[part] = flatOutRows;
  send(part);
  if (order.length === 0) onIdle?.();
}

function send(part: number): void {
  const waiting = due[part] ?? 0;
  if (waiting === 0 || (underWay[part] ?? 0) > 0) return;
  const count = Math.min(waiting, MAX_CALL_ROWS);
  due[part] = waiting - count;
  underWay[part] = count;
  calls++;
  for (let index = 0; index < (format === 'xadd' ? count : 1); index++) order.push(part);
  wire.write(addRows(format, part, count));
}

function atRate(perSecond: number): void {
  const start = performance.now();
  let done = 0;
  const tick = () => {
    const now = Math.floor(((performance.now() - start) * perSecond) / 1_000);
    for (; done < now; done++) due[done % parts.length] = (due[done % parts.length] ?? 0) + 1;
    for (const part of parts) send(part);
    timer = setTimeout(tick, 1);
  };
  tick();
}

async function flatOut(batch: number, ms: number): Promise<void> {
  flatOutRows = batch;
  for (const part of parts) {
    due[part] = batch;
    send(part);
  }
  await new Promise((resolve) => setTimeout(resolve, ms));
  flatOutRows = 0;
  await idle();
}

function idle(): Promise<void> {
  if (order.length === 0) return Promise.resolve();
  return new Promise((resolve) => {
    onIdle = resolve;
  });
}

async function handle(order: RedisOrder): Promise<RedisAnswer> {
  if (order.do !== 'look') clearTimeout(timer);
  if (order.do === 'rate') atRate(order.perSecond);
  else if (order.do === 'flat-out') await flatOut(order.batch, order.ms);
  else if (order.do === 'stop') await idle();
  return { rows, calls };
}

/** HSET answers with one line, SCRIPT LOAD with two. */
async function begin(): Promise<void> {
  const ready = Promise.withResolvers<void>();
  const setup = new RedisWire(port, 3 * parts.length, () => ready.resolve());
  setup.write(parts.map((part) => beginPart(format, part)).join(''));
  await ready.promise;
  setup.end();
}

if (format !== 'xadd') await begin();
process.on('message', (message) => {
  void handle(message as RedisOrder).then((answer) => process.send?.(answer));
});
endWithParent();
process.stdout.write('listening on http://nowhere:0\n');
