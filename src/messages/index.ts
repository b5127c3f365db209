export { Lane } from './lane.ts';
export { type Audience, Path } from './path.ts';
export { type Freshness, type HistoryQuery, type HistoryResult, Reads, type Replay } from './reads.ts';
export type { Lookups, MessageWrite } from './rules.ts';
export type { Arrival, Submission, Write } from './submission.ts';
export { submitWrite, type Written } from './writes.ts';
