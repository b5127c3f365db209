// The floor of P13: bare Fastify with ws on its server, one route, every message echoed. Prints when it accepts.
import Fastify from 'fastify';
import { WebSocketServer } from 'ws';
import { endWithParent } from './announce.ts';

const app = Fastify();
app.get('/health', async () => ({ ok: true }));
const sockets = new WebSocketServer({ server: app.server, path: '/ws', perMessageDeflate: false });
sockets.on('connection', (ws) => ws.on('message', (data) => ws.send(String(data))));
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
process.stdout.write(`listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}\n`);
endWithParent();
