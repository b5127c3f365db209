// Ids and numbers of the protocol, branded so that one cannot be passed for another.
// Server-given ids are opaque to clients: at most 40 characters of A-Z a-z 0-9 _ -.

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

export type ConvId = Branded<string, 'ConvId'>;
export type UserId = Branded<string, 'UserId'>;
export type SessionId = Branded<string, 'SessionId'>;

/** The client's id of a request; for a durable request its idempotency key, for ever. 8-64 characters of `A-Z a-z 0-9 _ -`. */
export type Key = Branded<string, 'Key'>;

/** Number of a change in its conversation: 1, 2, 3, ... without gaps; 1 is the creation. 0 means "before everything". */
export type Seq = number;

/** Number of a message in its conversation: 1, 2, 3, ... Marks count in it. 0 = none. */
export type MessageNumber = number;

/** Server time, milliseconds since 1970. */
export type Millis = number;

export const ID_PATTERN = '^[A-Za-z0-9_-]{1,40}$';
export const KEY_PATTERN = '^[A-Za-z0-9_-]{8,64}$';

/** Roles of members; `invited` and `none` are what a membership can be without being a member. */
export type Role = 'owner' | 'moderator' | 'member';
export type Standing = Role | 'invited' | 'none';
export type ConvKind = 'direct' | 'group' | 'room';

export function isMember(standing: Standing | undefined): standing is Role {
  return standing === 'owner' || standing === 'moderator' || standing === 'member';
}
