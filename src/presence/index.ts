export { Neighbours } from './neighbours.ts';
export { Presence } from './presence.ts';
export type { Roster, Seen, Told } from './roster.ts';
export { Typing } from './typing.ts';
