// The end of the process while somebody is in the middle of a request, and stays there.
import { connect } from 'node:net';
import t from 'tap';
import { server } from '../kit/index.ts';

t.test('a request that never ends does not keep the server from ending well', async (t) => {
  const s = await server(t, { env: { CHAT_DRAIN_TIME: '1s' } });
  const ann = await s.client('ann');
  const { hostname, port } = new URL(s.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  const head = `POST /api/v1/auth/login HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n`;
  await new Promise<void>((resolve) => socket.write(`${head}\r\n{"login":`, () => resolve()));
  await ann.fence();
  const exit = await s.stop();
  t.match(exit, { code: 0 });
});

t.test('nor does a client that never answers the close', async (t) => {
  const s = await server(t, { env: { CHAT_DRAIN_TIME: '0s' } });
  const ann = await s.client('ann');
  ann.socket.pause();
  t.match(await s.stop(), { code: 0 });
});
