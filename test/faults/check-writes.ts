// What became of what was asked: nothing acknowledged lost, nothing that nobody asked for, one number a request, one change a
// number, numbers dense and in the order of time.
import type { Attempted, Case, Finding, Sighting } from './case.ts';
import { nameOf } from './evidence.ts';

type Report = (rule: string, text: string) => void;

export function checkWrites(run: Case): Finding[] {
  const findings: Finding[] = [];
  const report: Report = (rule, text) => findings.push({ rule, text });
  checkLost(run, report);
  checkSightings(run, report);
  checkAnswers(run, report);
  checkDense(run, report);
  checkRealTime(run, report);
  checkSessionOrder(run, report);
  return findings;
}

/** C1: every acknowledged write is in the files, and every message in every final read. */
function checkLost({ operations, timelines, evidence }: Case, report: Report): void {
  const reads = evidence.finals.map((final) => ({
    ...final,
    keys: new Set(final.messages.map(({ seq, key }) => `${seq} ${key}`)),
    synced: new Set(final.pages.flatMap(({ items }) => items.map((item) => (item.is === 'message' ? item.seq : 0)))),
  }));
  for (const { operation, oks } of operations.values()) {
    const seq = oks.find((ok) => ok.seq !== undefined)?.seq;
    if (seq === undefined) continue;
    const { conv, user, key, t } = operation;
    const change = timelines.get(conv)?.changes[seq - 1];
    if (evidence.dump !== null && (change?.key !== key || change.from !== user))
      report('C1', `${told(operation)} was acknowledged as ${seq}; the files have ${JSON.stringify(change)}`);
    if (t !== 'message') continue;
    for (const read of reads) {
      if (read.conv !== conv) continue;
      if (!read.keys.has(`${seq} ${key}`))
        report('C1', `${told(operation)}, ${seq}: not in the history of ${read.user}`);
      if (!read.synced.has(seq)) report('C1', `${told(operation)}, ${seq}: not in what ${read.user} synced`);
    }
  }
}

/** C2, C3 and C4: what each number is said to be, by whom. */
function checkSightings(run: Case, report: Report): void {
  const numbers = new Map<string, Sighting>();
  const seqs = new Map<string, Sighting>();
  const phantoms = new Set<string>();
  for (const sighting of run.sightings) {
    const { conv, seq, key, from } = sighting;
    const phantom = phantomOf(run, sighting);
    if (phantom !== null && !phantoms.has(`${conv} ${seq} ${phantom}`)) {
      phantoms.add(`${conv} ${seq} ${phantom}`);
      report('C2', `${conv} ${seq}, ${sighting.by}: ${phantom}`);
    }
    const place = `${conv} ${seq}`;
    const known = numbers.get(place);
    const conflict = known && conflictOf(known, sighting);
    if (conflict) report('C4', `${conv} ${seq}: ${conflict}`);
    numbers.set(place, { ...sighting, ...known, by: known?.by ?? sighting.by });
    if (key === null || key === undefined || from === undefined) continue;
    const name = nameOf({ conv, user: from, key });
    const other = seqs.get(name);
    if (other === undefined) seqs.set(name, sighting);
    else if (other.seq !== seq) report('C3', `${name} has seq ${other.seq} (${other.by}) and ${seq} (${sighting.by})`);
  }
}

function phantomOf({ operations }: Case, { conv, from = '', key, t, of, text, what, user }: Sighting): string | null {
  if (key === null || key === undefined) return 'nobody asked for it: it has no key';
  const attempted = operations.get(nameOf({ conv, user: from, key }));
  if (attempted === undefined) return `nobody asked for it: key ${key} of ${from}`;
  const { operation, failed, oks } = attempted;
  if (failed !== null) return `it was refused with ${failed}`;
  if (oks.some((ok) => ok.seq === undefined)) return 'it was said to have no effect';
  const expected =
    operation.t === 'create' ? 'conv' : operation.t === 'join' || operation.t === 'leave' ? 'member' : operation.t;
  if (t !== undefined && t !== expected) return `a ${t}, but asked for was ${operation.t}`;
  if (of !== undefined && of !== operation.of) return `it acts on ${of}, but asked for was ${operation.of}`;
  if (text !== undefined && text !== operation.text) return `the text is not what was sent first with key ${key}`;
  if (what !== undefined && (what !== operation.t || user !== from))
    return `${what} of ${user}, but asked for was ${operation.t}`;
  return null;
}

const COMPARED = ['key', 'from', 'at', 'n', 't', 'of', 'text', 'user', 'what'] as const;

function conflictOf(one: Sighting, other: Sighting): string | null {
  for (const field of COMPARED) {
    if (one[field] === undefined || other[field] === undefined || one[field] === other[field]) continue;
    return `${field} is ${one[field]} (${one.by}) and ${other[field]} (${other.by})`;
  }
  return null;
}

/** C3: the first answer is given again, with \`dup\`. */
function checkAnswers({ operations }: Case, report: Report): void {
  for (const { operation, oks } of operations.values()) {
    const [first] = oks;
    if (oks.filter(({ dup }) => !dup).length > 1) report('C3', `${told(operation)} was told twice that it is new`);
    for (const ok of oks) {
      if (ok.seq !== first?.seq || ok.n !== first?.n || ok.time !== first?.time)
        report('C3', `${told(operation)} was answered ${JSON.stringify(first)} and ${JSON.stringify(ok)}`);
    }
  }
}

/** C5: 1..n without holes, for changes, for messages, and for places in the log. */
function checkDense({ evidence, timelines }: Case, report: Report): void {
  const { dump } = evidence;
  if (dump === null) return;
  const heads = new Map<string, number>();
  for (const { change } of dump.changes) heads.set(change.conv, Math.max(change.seq, heads.get(change.conv) ?? 0));
  for (const [conv, head] of heads) {
    const { changes = [] } = timelines.get(conv) ?? {};
    if (changes.length < head) report('C5', `${conv} has no ${changes.length + 1}, but ${head}`);
    let n = 0;
    let at = 0;
    for (const change of changes) {
      if (change.t === 'message' && change.n !== ++n)
        report('C5', `${conv} ${change.seq}: message ${change.n}, not ${n}`);
      if (change.at < at) report('C5', `${conv} ${change.seq}: its time is before that of the one before`);
      at = change.at;
    }
  }
  const logged = Map.groupBy(
    dump.changes.filter(({ file }) => file === 'log'),
    ({ part }) => part,
  );
  for (const [part, { trimmed, watermark }] of dump.parts.entries()) {
    const offsets = logged.get(part)?.map(({ offset }) => offset) ?? [];
    if (offsets.some((offset, index) => offset !== trimmed + 1 + index)) report('C5', 'the log itself has a hole');
    if (watermark < trimmed) report('C5', `the log let go of ${trimmed}, the store ends at ${watermark}`);
  }
}

/** C7: acknowledged before the other was first sent: the smaller number. */
function checkRealTime(run: Case, report: Report): void {
  for (const [conv, operations] of byConversation(run)) {
    let latest: Attempted | undefined;
    for (const attempted of operations) {
      const ackedAt = attempted.oks[0]?.at ?? Number.POSITIVE_INFINITY;
      if (latest !== undefined && ackedAt < latest.invokedAt)
        report(
          'C7',
          `${conv}: ${told(attempted.operation)} was acknowledged before ${told(latest.operation)} was sent`,
        );
      if (latest === undefined || attempted.invokedAt > latest.invokedAt) latest = attempted;
    }
  }
}

/** C8: requests of one connection, acknowledged at the first attempt, take effect in the order they were sent. */
function checkSessionOrder(run: Case, report: Report): void {
  for (const [conv, operations] of byConversation(run)) {
    const last = new Map<number, Attempted>();
    for (const attempted of operations) {
      if (attempted.oks[0]?.dup !== false || attempted.attempts - attempted.oks.length > 0) continue;
      const before = last.get(attempted.connection);
      if (before !== undefined && before.invokedAt > attempted.invokedAt)
        report('C8', `${conv}: ${told(attempted.operation)} was sent first, but ${told(before.operation)} came first`);
      last.set(attempted.connection, attempted);
    }
  }
}

/** The operations that took effect, in the order of their numbers. */
function byConversation({ timelines, operations, evidence }: Case): Map<string, Attempted[]> {
  const convs = new Map<string, Attempted[]>();
  if (evidence.dump !== null) {
    for (const [conv, { changes }] of timelines) {
      const found = changes.map(({ from, key = '' }) => operations.get(nameOf({ conv, user: from, key })));
      convs.set(
        conv,
        found.filter((attempted) => attempted !== undefined),
      );
    }
  }
  return convs;
}

function told({ t, conv, user, key }: Attempted['operation']): string {
  return `${t} ${key} of ${user} in ${conv}`;
}
