// P12: a page of 50 messages costs the same from a conversation of ten thousand and of a million. Pages begin anywhere.
import { type Bar, type BarResult, type Context, pairedRow } from '../kit/bar.ts';
import { addToAudit, type Cell, measure, newAudit } from '../kit/measure.ts';
import type { Scene } from '../kit/scene.ts';
import { connectUsers, type Stage, stage } from '../kit/stage.ts';

const PAGE = 50;
const SMALL = 10_000;
const READERS = 8;
const RATE = 300;

function sceneOf(large: number): Scene {
  const members = Array.from({ length: READERS }, (_, user) => user);
  const convs = [SMALL, large].map((messages) => ({ kind: 'group', members, messages }) as const);
  return { name: `history-${large}`, users: READERS, convs };
}

async function pages(each: Stage, conv: number, head: number, quick: boolean): Promise<Cell> {
  const sources = Array.from({ length: READERS }, (_, member) => each.source(conv, member));
  const timing = quick ? { warmMs: 300, windowMs: 1_000 } : { warmMs: 1_000, windowMs: 5_000 };
  const cell = await measure(each, { kind: 'history', rate: RATE, head, limit: PAGE, sources }, timing);
  if (cell.pages === 0) throw new Error('no page came');
  return cell;
}

async function run({ subject, quick, repeats, say }: Context): Promise<BarResult> {
  const large = quick ? 100_000 : 1_000_000;
  const scene = sceneOf(large);
  const each = await stage(subject, { scene, inPlace: true, say });
  await connectUsers(each, 0, READERS);
  const cpu: [number[], number[]] = [[], []];
  const p50: [number[], number[]] = [[], []];
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const side of [0, 1] as const) {
      const cell = await pages(each, side, side === 0 ? SMALL : large, quick);
      cpu[side].push(cell.cpuUs / cell.pages);
      p50[side].push(cell.latencies.page.quantile(0.5));
    }
    say(`a page: ${cpu.map((list) => Math.round(list.at(-1) ?? 0)).join(' and ')} µs CPU`);
  }
  const { trouble, ...totals } = await each.load.settle();
  const audit = newAudit();
  addToAudit(audit, { ...totals, trouble });
  await each.stop();
  const short = Object.keys(trouble).filter((what) => what.startsWith('page of') && what !== `page of ${PAGE}`);
  if (short.length > 0) throw new Error(`not only whole pages: ${short.join(', ')}`);
  const rows = [
    pairedRow({
      what: `CPU per history page of ${PAGE}, from ${large} messages against ${SMALL}`,
      unit: 'µs',
      floorName: `${SMALL}`,
      floors: cpu[0],
      servers: cpu[1],
      limit: '± 20 %',
      isMet: (ratio) => ratio <= 1.2,
    }),
    pairedRow({ what: 'its p50', unit: 'µs', floorName: `${SMALL}`, floors: p50[0], servers: p50[1] }),
  ];
  return { rows, audit, loadCpu: 0, durability: '' };
}

export const p12: Bar = { id: 'P12', title: 'a page of a long history', fullSeconds: 120, run };
