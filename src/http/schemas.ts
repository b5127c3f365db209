// Shapes that several routes share.
import Type from 'typebox';
import { MAX_DISPLAY_NAME } from '../accounts/index.ts';
import { ID_PATTERN } from '../protocol/ids.ts';
import type { MessageState } from '../protocol/states.ts';

export const closed = { additionalProperties: false } as const;

export const Id = Type.String({ pattern: ID_PATTERN });

/** Code points; the domain checks what else a text may hold. */
export const DisplayName = Type.String({ minLength: 1, maxLength: MAX_DISPLAY_NAME });

export const Profile = Type.Object(
  { id: Id, name: Type.String(), displayName: Type.String() },
  { description: 'What everyone may know of a user.' },
);

export const MAX_PAGE = 100;
export const DEFAULT_PAGE = 50;

export const Kind = Type.Enum(['direct', 'group', 'room']);
export const Role = Type.Enum(['owner', 'moderator', 'member']);
export const Standing = Type.Enum(['owner', 'moderator', 'member', 'invited']);

/** For the documentation; the type is the protocol's. */
export const MessageShape = Type.Unsafe<MessageState>(
  Type.Object(
    {
      is: Type.Literal('message'),
      seq: Type.Integer(),
      n: Type.Integer(),
      rev: Type.Integer({ description: 'Number of the last change that touched it.' }),
      from: Id,
      at: Type.Integer({ description: 'Unix ms.' }),
      key: Type.Optional(Type.String()),
      text: Type.String(),
      mentions: Type.Optional(Type.Array(Type.String())),
      edited: Type.Optional(Type.Integer({ description: 'Unix ms.' })),
      deleted: Type.Optional(Type.Literal(true)),
      reply: Type.Optional(Type.Integer()),
    },
    { description: 'The state of a message.' },
  ),
);

/** `?cursor=&limit=`; a cursor is what the page before gave. */
export const paging = {
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: `Default ${DEFAULT_PAGE}.` })),
};

/** The body of a page: no cursor where nothing follows. */
export function pageOf<Item>(page: { readonly items: readonly Item[]; readonly cursor: string | null }) {
  return { items: [...page.items], ...(page.cursor === null ? {} : { cursor: page.cursor }) };
}
