// P13: from the start of the process to the first message it accepts, against bare Fastify with ws, both driven by the
// same client library.

import { type RawData, WebSocket } from 'ws';
import { type Bar, type BarResult, type Context, EMBEDDED_DURABILITY, pairedRow } from '../kit/bar.ts';
import type { Child } from '../kit/child.ts';
import { newAudit } from '../kit/measure.ts';
import { startFloor, startServer } from '../kit/programs.ts';
import { pairs, type Scene } from '../kit/scene.ts';
import { median } from '../kit/stats.ts';
import { accessToken, convId, prepareWorld } from '../kit/world.ts';

const SCENE: Scene = { name: 'start', users: 2, convs: pairs(2) };
const ALLOWED_MS = 300;

/** Sends the first text at once, then `next` of every text received, until it returns null. */
async function converse(port: number, first: string, next: (text: string) => string | null): Promise<void> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  const done = Promise.withResolvers<void>();
  ws.on('open', () => ws.send(first));
  ws.on('error', done.reject);
  ws.on('close', () => done.reject(new Error('closed before the first message was accepted')));
  ws.on('message', (data: RawData) => {
    const reply = next(String(data));
    if (reply === null) done.resolve();
    else if (reply !== '') ws.send(reply);
  });
  await done.promise;
  ws.terminate();
}

async function timed(start: () => Child, accept: (port: number) => Promise<void>): Promise<number> {
  const began = performance.now();
  const child = start();
  await accept(await child.listening());
  const ms = performance.now() - began;
  await child.stop();
  return ms;
}

function startOfFloor(): Promise<number> {
  return timed(
    () => startFloor('fastify-ws.ts', [], null),
    (port) => converse(port, 'hello', () => null),
  );
}

async function startOfServer(say: (text: string) => void): Promise<number> {
  const folder = await prepareWorld(SCENE, false, say);
  const hello = JSON.stringify({ t: 'hello', id: 'bench-hello', token: accessToken(0) });
  const message = JSON.stringify({ t: 'message', id: 'bench-message', conv: convId(0), text: 'first' });
  const ms = await timed(
    () => startServer(folder.path, null),
    (port) =>
      converse(port, hello, (text) => {
        const { t } = JSON.parse(text) as { t: string };
        if (t === 'error') throw new Error(`refused: ${text}`);
        return t === 'ready' ? message : t === 'ok' ? null : '';
      }),
  );
  folder.discard();
  return ms;
}

async function run({ quick, say }: Context): Promise<BarResult> {
  const floors: number[] = [];
  const servers: number[] = [];
  for (let repeat = 0; repeat < (quick ? 4 : 11); repeat++) {
    floors.push(await startOfFloor());
    servers.push(await startOfServer(say));
    say(`floor ${Math.round(floors.at(-1) ?? 0)} ms, server ${Math.round(servers.at(-1) ?? 0)} ms`);
  }
  const row = pairedRow({
    what: 'start of the process to the first accepted message (floor: bare Fastify + ws)',
    unit: 'ms',
    floorName: 'Fastify',
    floors,
    servers,
    limit: '≤ 1.5 × + 300 ms',
    isMet: () => median(servers) <= 1.5 * median(floors) + ALLOWED_MS,
  });
  return { rows: [row], audit: newAudit(), loadCpu: 0, durability: EMBEDDED_DURABILITY };
}

export const p13: Bar = { id: 'P13', title: 'start', fullSeconds: 40, run };
