// P1 and P2 beside what others run: the same scene, rates and frames through Socket.IO 4, Socket.IO on two nodes with the
// Redis Streams adapter, and Fastify with @fastify/websocket. Of two nodes the CPU of both counts, Redis' does not.
import { type Bar, type BarResult, type Context, EMBEDDED_DURABILITY, pairedRow, type Row } from '../kit/bar.ts';
import { addToAudit, type Cell, measure, newAudit } from '../kit/measure.ts';
import { connectUsers, type PeerName, type Stage, type SubjectName, stage } from '../kit/stage.ts';
import { type Run, type Sample, SCENE, slopeOf } from './fan-out.ts';

const USERS = SCENE.users;
const FANS = [10, 1_000];
const TEXT_BYTES = 24;
const BURST = 10;
const PEERS: readonly PeerName[] = ['Socket.IO', 'Socket.IO, 2 nodes', 'Fastify + @fastify/websocket'];

/** One at a time, or ten of one sender at one instant, at twice the rate. */
type Manner = 'one at a time' | 'ten in one turn';
const MANNERS: readonly Manner[] = ['one at a time', 'ten in one turn'];

function runsOf(manner: Manner, quick: boolean): Run[] {
  const [burst, factor] = manner === 'one at a time' ? [1, 1] : [BURST, 2];
  const rates = quick ? [10, 20] : [10, 20, 30];
  return rates.flatMap((rate) => FANS.map((fan) => ({ fan, rate: rate * factor, burst, textBytes: TEXT_BYTES })));
}

/** CPU of all nodes of the subject. */
function ofAllNodes(cell: Cell): Cell {
  const others = Object.entries(cell.besideUs).filter(([name]) => name.startsWith('node'));
  return { ...cell, cpuUs: others.reduce((sum, [, us]) => sum + us, cell.cpuUs) };
}

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const timing = quick ? { warmMs: 150, windowMs: 450 } : { warmMs: 500, windowMs: 2_000 };
  const names: readonly SubjectName[] = [context.subject, ...PEERS];
  const stages: Stage[] = [];
  for (const name of names) stages.push(await stage(name, { scene: SCENE, say }));
  for (const each of stages) await connectUsers(each, 0, USERS);
  const slopes = new Map(MANNERS.map((manner) => [manner, names.map((): number[] => [])]));
  let loadCpu = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const manner of MANNERS) {
      const samples = names.map((): Sample[] => []);
      for (const each of runsOf(manner, quick)) {
        for (const [side, subject] of stages.entries()) {
          const cell = ofAllNodes(await sampleOf(subject, each, timing));
          samples[side]?.push({ ...each, cell });
          loadCpu = Math.max(loadCpu, cell.loadCpu);
        }
      }
      for (const [side, list] of samples.entries()) slopes.get(manner)?.[side]?.push(slopeOf(list));
      const told = names.map((name, side) => `${name} ${slopes.get(manner)?.[side]?.at(-1)?.toFixed(2)}`);
      say(`${manner}, µs a delivery: ${told.join(', ')}`);
    }
  }
  const audit = newAudit();
  for (const each of stages) {
    addToAudit(audit, await each.load.settle());
    await each.stop();
  }
  const rows = MANNERS.flatMap((manner) => rowsOf(manner, slopes.get(manner) ?? []));
  return { rows, audit, loadCpu, durability: `${EMBEDDED_DURABILITY} for the server, none for the others` };
}

function sampleOf(subject: Stage, { fan, ...loop }: Run, timing: { warmMs: number; windowMs: number }): Promise<Cell> {
  const sources = SCENE.convs.flatMap(({ members }, conv) => (members.length === fan ? [subject.source(conv)] : []));
  return measure(subject, { kind: 'open', ...loop, sources }, timing);
}

function rowsOf(manner: Manner, [servers = [], ...peers]: readonly (readonly number[])[]): Row[] {
  return peers.map((floors, index) => {
    const floorName = PEERS[index] ?? '';
    const isBar = manner === 'ten in one turn' && floorName === 'Socket.IO';
    return pairedRow({
      what: `CPU per delivery, slope over fan-outs, ${manner}`,
      unit: 'µs',
      floorName,
      floors,
      servers,
      ...(isBar ? { limit: '≤ 0.10 ×', isMet: (ratio: number) => ratio <= 0.1 } : {}),
    });
  });
}

export const peers: Bar = { id: 'PEERS', title: 'the fan-out of Socket.IO and Fastify', fullSeconds: 500, run };
