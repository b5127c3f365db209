export { applyToUser, Conversation, Directory } from './directory.ts';
export { createdId, directId } from './ids.ts';
export { Rooms, type RoomsDeps, type RoomsPage } from './rooms.ts';
export {
  type ConversationWrite,
  type Create,
  decideConversationWrite,
  decideCreate,
  requireMember,
  requireRole,
} from './rules.ts';
export { storeNotAhead } from './store-not-ahead.ts';
