// Who says nothing, or says it very slowly, is not waited for.
import { once } from 'node:events';
import t from 'tap';
import { eventually } from '../kit/index.ts';
import { handshake, RawSocket } from '../kit/raw.ts';
import { arena, backTo, closingOf, settled } from './kit.ts';

const MIB = 1_048_576;

const place = await arena(t);

/** Writes a byte a second until the connection ends. */
async function trickle(raw: RawSocket, text: string): Promise<void> {
  for (const byte of text) {
    if (!raw.socket.writable) return;
    raw.write(byte);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 1_000);
    raw.socket.once('close', resolve);
    await promise;
    raw.socket.off('close', resolve);
    clearTimeout(timer);
  }
}

const SLOW_BODIES = 50;
/** Half a minute for a whole request, and a little for Node to look. */
const PATIENCE_MS = 40_000;

/** A login whose body never comes to its end. @returns the status line it is answered with */
async function slowBody(): Promise<string> {
  const raw = await RawSocket.connect(place.url);
  const head = `POST /api/v1/auth/login HTTP/1.1\r\nHost: ${raw.host}\r\nContent-Type: application/json\r\n`;
  raw.write(`${head}Content-Length: 100000\r\n\r\n`);
  const dripping = setInterval(() => raw.write(' '), 1_000);
  const [bytes] = (await once(raw.socket, 'data', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [Buffer];
  clearInterval(dripping);
  await once(raw.socket, 'close');
  return bytes.toString('latin1').split('\r\n')[0] ?? '';
}

t.test('the silent and the slow are let go in time', { timeout: 60_000 }, async (t) => {
  const handles = await place.handles();
  const before = await place.memory();
  const bodies = Array.from({ length: SLOW_BODIES }, slowBody);
  await eventually(async () => (await place.handles()) >= handles + SLOW_BODIES);
  await place.staysWell(t);
  const silent = await place.open();
  const half = await place.open();
  half.write(Buffer.from([0x81]));
  const slow = await RawSocket.connect(place.url);
  const trickling = trickle(slow, handshake(slow.host));
  const mute = await RawSocket.connect(place.url);
  const stubborn = await place.open();
  stubborn.endsWithPeer = false;
  stubborn.send('not a hello');
  await stubborn.next('error');
  t.match(await closingOf(silent), { code: 4502, reason: 'auth_timeout', errors: [] }, 'no hello');
  t.match(await closingOf(half), { code: 4502, errors: [] }, 'half a frame');
  t.equal((await slow.response()).status, 408, 'a handshake at a byte a second');
  await slow.closed();
  slow.destroy();
  await trickling;
  await mute.closed();
  mute.destroy();
  t.pass('not a byte');
  t.same(new Set(await Promise.all(bodies)), new Set(['HTTP/1.1 408 Request Timeout']), 'bodies at a byte a second');
  await backTo(place, handles);
  t.pass('who never answers a close');
  stubborn.destroy();
  const after = await settled(place, before.heldBytes + MIB);
  t.ok(after.heldBytes - before.heldBytes < MIB, 'nothing of them is kept');
  await place.staysWell(t);
});
