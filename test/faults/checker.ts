// The checker: what of the promises of the protocol a run under faults has broken. Knows nothing of how the server works;
// its rules are C1 to C13 of findings.md. A checker that finds nothing proves something only because its self-test
// shows that it can find (checker.test.ts).
import { Case, type Finding } from './case.ts';
import { checkConnections } from './check-connections.ts';
import { checkReads } from './check-reads.ts';
import { checkWrites } from './check-writes.ts';
import type { Evidence } from './evidence.ts';

export type { Finding } from './case.ts';

export function check(evidence: Evidence): readonly Finding[] {
  const run = new Case(evidence);
  return [...checkWrites(run), ...checkConnections(run), ...checkReads(run)];
}
