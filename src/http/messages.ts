// Messages over HTTP: the same writes and reads as over a socket.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { requireMember } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { HistoryQuery, Written } from '../messages/index.ts';
import type { ConvId, UserId } from '../protocol/ids.ts';
import { REQUESTS } from '../protocol/requests.ts';
import { checkMessageText } from '../protocol/text.ts';
import { InConversation } from './conversations.ts';
import { conversationOf, type Domain, write } from './domain.ts';
import { callerOf } from './policy.ts';
import { closed, Id, MessageShape } from './schemas.ts';

const { seq: Seq } = REQUESTS.edit.properties;
const { before, after, around, thread, limit } = REQUESTS.history.properties;

const Message = Type.Omit(REQUESTS.message, ['t', 'id', 'conv'], closed);
const Edit = Type.Pick(REQUESTS.edit, ['text'], closed);
const Params = Type.Object({ conv: Type.Unsafe<ConvId>(Id), seq: Seq });
const Query = Type.Object({ before, after, around, thread, limit }, closed);
const Deletion = Type.Object({ for: Type.Optional(REQUESTS.delete.properties.for) }, closed);

const Receipt = Type.Object(
  {
    conv: Id,
    seq: Type.Optional(Type.Integer({ description: 'Left out where the request had no effect.' })),
    n: Type.Optional(Type.Integer()),
    at: Type.Optional(Type.Integer({ description: 'Unix ms.' })),
    dup: Type.Optional(Type.Literal(true, { description: 'The key had been used: this is the first answer.' })),
  },
  { description: 'Written.' },
);

const Messages = Type.Object(
  {
    items: Type.Array(MessageShape),
    more: Type.Boolean(),
    moreBefore: Type.Optional(Type.Boolean()),
    moreAfter: Type.Optional(Type.Boolean()),
    stale: Type.Optional(Type.Literal(true)),
  },
  { description: 'Messages, ascending by seq.' },
);

export function messageRoutes(domain: Domain): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/conversations/:conv/messages',
      {
        schema: { tags: ['messages'], params: InConversation, body: Message, response: { 200: Receipt, 201: Receipt } },
        config: {
          policy: 'user',
          errors: ['not_found', 'forbidden', 'read_only', 'muted', 'blocked', 'limit_reached'],
        },
      },
      async (request, reply) => {
        const { conv } = request.params;
        const { text, files = [] } = request.body;
        checkMessageText(text, files.length > 0);
        const written = await write(domain, request, { ...request.body, t: 'message', conv });
        return reply.code(written?.dup ? 200 : 201).send(receiptOf(conv, written));
      },
    );

    app.get(
      '/conversations/:conv/messages',
      {
        schema: { tags: ['messages'], params: InConversation, querystring: Query, response: { 200: Messages } },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request) => {
        const { thread, ...query } = request.query;
        if (thread !== undefined)
          throw new ChatError('bad_frame', { field: 'thread', message: 'There are no threads yet.' });
        requireOneAnchor(query);
        return history(domain, request.params.conv, callerOf(request).user, query);
      },
    );

    app.patch(
      '/conversations/:conv/messages/:seq',
      {
        schema: { tags: ['messages'], params: Params, body: Edit, response: { 200: Receipt } },
        config: { policy: 'user', errors: ['not_found', 'forbidden', 'gone'] },
      },
      async (request) => {
        const { text } = request.body;
        checkMessageText(text, false);
        const { conv, seq } = request.params;
        return receiptOf(conv, await write(domain, request, { t: 'edit', conv, seq, text }));
      },
    );

    app.delete(
      '/conversations/:conv/messages/:seq',
      {
        schema: { tags: ['messages'], params: Params, querystring: Deletion, response: { 200: Receipt } },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request) => {
        const { conv, seq } = request.params;
        const { for: whom = 'all' } = request.query;
        return receiptOf(conv, await write(domain, request, { t: 'delete', conv, seq, for: whom }));
      },
    );
  };
}

type Anchors = { readonly before?: number; readonly after?: number; readonly around?: number };

function requireOneAnchor({ before, after, around }: Anchors): void {
  const anchors = [before, after, around].filter((anchor) => anchor !== undefined);
  if (anchors.length > 1) throw new ChatError('bad_frame', { message: 'Give one of before, after and around.' });
}

/** Membership is checked again after the wait: nothing is served to who was removed meanwhile. */
async function history(domain: Domain, conv: ConvId, user: UserId, query: HistoryQuery) {
  const freshness = await domain.reads.freshness();
  const conversation = await conversationOf(domain, conv, user);
  const { items, more, ...beside } = await domain.reads.history(conversation, query, freshness);
  requireMember(conversation, user);
  const moreSomewhere = more ?? (beside.moreBefore === true || beside.moreAfter === true);
  return { items: [...items], more: moreSomewhere, ...beside, ...freshness };
}

function receiptOf(conv: ConvId, written: Written) {
  if (written === null) return { conv };
  const { seq, n, at, dup } = written;
  return { conv, seq, ...(n > 0 ? { n } : {}), at, ...(dup ? { dup: true as const } : {}) };
}
