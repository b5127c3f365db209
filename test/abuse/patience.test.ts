// Who says nothing, or says it very slowly, is not waited for.
import t from 'tap';
import { handshake, RawSocket } from '../kit/raw.ts';
import { arena, backTo, closingOf } from './kit.ts';

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

t.test('the silent and the slow are let go in time', { timeout: 60_000 }, async (t) => {
  const handles = await place.handles();
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
  await backTo(place, handles);
  t.pass('who never answers a close');
  stubborn.destroy();
  await place.staysWell(t);
});
