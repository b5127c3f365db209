export { applyToUser, Conversation, Directory } from './directory.ts';
export { createdId, directId } from './ids.ts';
export {
  type ConversationWrite,
  type Create,
  decideConversationWrite,
  decideCreate,
  requireMember,
  requireRole,
} from './rules.ts';
