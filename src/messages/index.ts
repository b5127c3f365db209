export { Lane } from './lane.ts';
export { type Arrival, type Audience, Path, type Submission, type Write } from './path.ts';
export { type HistoryQuery, type HistoryResult, Reads, type Replay, type SyncResult } from './reads.ts';
export type { Lookups, MessageWrite } from './rules.ts';
export { submitWrite, type Written } from './writes.ts';
