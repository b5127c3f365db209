// The floor of P14: bare Fastify with the two message routes, the same shapes checked by the same checker, answers of the
// same size; no tokens, no rights, no log, no store.
import Fastify from 'fastify';
import Type from 'typebox';
import { InConversation } from '../../src/http/conversations.ts';
import { validatorCompiler } from '../../src/http/validation.ts';
import { REQUESTS } from '../../src/protocol/requests.ts';
import { endWithParent } from './announce.ts';

const closed = { additionalProperties: false } as const;
const { before, after, around, thread, limit } = REQUESTS.history.properties;
const body = Type.Omit(REQUESTS.message, ['t', 'id', 'conv'], closed);
const querystring = Type.Object({ before, after, around, thread, limit }, closed);
const headers = Type.Object({ 'idempotency-key': Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{8,64}$' })) });

const [countText = '50', textBytes = '24'] = process.argv.slice(2);
const items = Array.from({ length: Number(countText) }, (_, index) => ({
  is: 'message',
  seq: index + 2,
  n: index + 1,
  rev: index + 2,
  from: 'floor-user-00000',
  at: Date.now(),
  key: '0199a3c2-7c1e-7abc-8def-000000000000',
  text: 'x'.repeat(Number(textBytes)),
}));

const app = Fastify({ bodyLimit: 131_072 });
app.setValidatorCompiler(validatorCompiler);
app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
let seq = 1;
app.post(
  '/api/v1/conversations/:conv/messages',
  { schema: { params: InConversation, body, headers } },
  (request, reply) => {
    const { conv } = request.params as { conv: string };
    seq++;
    void reply.code(201).send({ conv, seq, n: seq - 1, at: Date.now() });
  },
);
app.get(
  '/api/v1/conversations/:conv/messages',
  { schema: { params: InConversation, querystring } },
  (_request, reply) => {
    void reply.send({ items, more: true });
  },
);
process.stdout.write(`listening on ${await app.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 })}\n`);
endWithParent();
