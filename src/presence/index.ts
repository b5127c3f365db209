export { Presence, type Seen } from './presence.ts';
export { Typing } from './typing.ts';
