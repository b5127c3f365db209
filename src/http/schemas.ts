// Shapes that several routes share.
import Type from 'typebox';
import { MAX_DISPLAY_NAME } from '../accounts/index.ts';
import { ID_PATTERN } from '../protocol/ids.ts';

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

/** `?cursor=&limit=`; a cursor is what the page before gave. */
export const paging = {
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: `Default ${DEFAULT_PAGE}.` })),
};

/** The body of a page: no cursor where nothing follows. */
export function pageOf<Item>(page: { readonly items: readonly Item[]; readonly cursor: string | null }) {
  return { items: [...page.items], ...(page.cursor === null ? {} : { cursor: page.cursor }) };
}
