// What each connection was pushed: every change once, in order, without holes (C3, C6), to whom it concerns and nobody else
// (C11), a resume whole and as things stand (C9), and at the end everything (C10).
import type { Change } from '../kit/frames.ts';
import type { Case, Finding } from './case.ts';
import { type EventOf, isChangePush, type Turn } from './evidence.ts';
import type { Timeline } from './timeline.ts';

/** Where a connection stands in a conversation; `removed`: only `gone` may come. */
interface Place {
  readonly is: 'live' | 'replaying' | 'behind' | 'removed' | 'outside';
  readonly seq: number;
  /** What has been replayed, until \`caught_up\`. */
  readonly replayed: readonly Change[];
}

const OUTSIDE: Place = { is: 'outside', seq: 0, replayed: [] };

export function checkConnections(run: Case): Finding[] {
  const watched = new Map<number, Watched>();
  const findings: Finding[] = [];
  for (const event of run.evidence.events) {
    if (event.is === 'ready') watched.set(event.connection, new Watched(run, event, findings));
    else if (event.is === 'closed') watched.delete(event.connection);
    else if (event.is === 'push') watched.get(event.connection)?.onPush(event.push);
    else if (event.is === 'sync') watched.get(event.connection)?.onSync(event.answer);
  }
  // Only what is open when the run is over can have everything.
  const isQuiet = run.evidence.events.some(({ is }) => is === 'quiet');
  if (isQuiet) for (const connection of watched.values()) connection.checkComplete();
  return findings;
}

class Watched {
  readonly #run: Case;
  readonly #findings: Finding[];
  readonly #connection: number;
  readonly #user: string;
  readonly #places = new Map<string, Place>();

  constructor(run: Case, { connection, user, ready, since }: EventOf<'ready'>, findings: Finding[]) {
    this.#run = run;
    this.#findings = findings;
    this.#connection = connection;
    this.#user = user;
    for (const { conv, seq, role } of ready.convs) {
      if (role !== 'invited') this.#places.set(conv, { is: 'live', seq, replayed: [] });
    }
    for (const [conv, seq] of Object.entries(since?.convs ?? {})) {
      const is = this.#places.has(conv) ? 'replaying' : 'removed';
      this.#places.set(conv, { is, seq, replayed: [] });
    }
    this.#checkEpoch(ready.epoch);
  }

  onPush(push: Change | Turn): void {
    if (isChangePush(push)) this.#onChange(push);
    else this.#onTurn(push);
  }

  onSync({ conv, to, more, head, epoch }: EventOf<'sync'>['answer']): void {
    this.#checkEpoch(epoch);
    const timeline = this.#run.timelines.get(conv);
    if (timeline !== undefined && !timeline.isMemberAt(this.#user, head))
      this.#report('C11', conv, `a sync at ${head} was answered to somebody outside`);
    if (this.#place(conv).is === 'behind' && !more) this.#put(conv, { is: 'live', seq: to, replayed: [] });
  }

  checkComplete(): void {
    for (const [conv, timeline] of this.#run.timelines) {
      if (!timeline.isMemberAt(this.#user, timeline.head)) continue;
      const { is, seq } = this.#place(conv);
      if (is !== 'live' || seq !== timeline.head)
        this.#report('C10', conv, `all is quiet at ${timeline.head}, but it is ${is} at ${seq}`);
    }
  }

  #place(conv: string): Place {
    return this.#places.get(conv) ?? OUTSIDE;
  }

  #put(conv: string, place: Place): void {
    this.#places.set(conv, place);
  }

  #report(rule: string, conv: string, text: string): void {
    this.#findings.push({ rule, text: `connection ${this.#connection} of ${this.#user}, ${conv}: ${text}` });
  }

  #checkEpoch(epoch: string): void {
    const { dump } = this.#run.evidence;
    if (dump !== null && dump.epoch !== null && dump.epoch !== epoch)
      this.#report('C4', '', `epoch ${epoch}, the log has ${dump.epoch}`);
  }

  #onChange(change: Change): void {
    const { conv, seq } = change;
    const place = this.#place(conv);
    const timeline = this.#run.timelines.get(conv);
    const enters = standingAfter(change, this.#user);
    if (place.is === 'behind') this.#report('C6', conv, `${seq} came while it was behind`);
    else if (place.is === 'removed') this.#report('C11', conv, `${seq} came to somebody removed`);
    else if (place.is === 'outside') {
      if (enters !== 'in') this.#report('C11', conv, `${seq} came to somebody outside`);
    } else if (seq <= place.seq) this.#report('C3', conv, `${seq} came again, after ${place.seq}`);
    else if (seq !== place.seq + 1) this.#report('C6', conv, `${seq} came after ${place.seq}`);
    // What is replayed is long past: one may have been out and in again.
    if (
      place.is !== 'replaying' &&
      timeline !== undefined &&
      seq <= timeline.head &&
      !timeline.mayHear(this.#user, seq)
    )
      this.#report('C11', conv, `${seq} came to somebody who was not in`);
    if (place.is === 'replaying') this.#put(conv, { is: 'replaying', seq, replayed: [...place.replayed, change] });
    else this.#put(conv, { is: enters === 'out' ? 'removed' : 'live', seq, replayed: [] });
  }

  #onTurn(turn: Turn): void {
    const { conv } = turn;
    const place = this.#place(conv);
    if (turn.t === 'gone') {
      if (place.is === 'live') this.#report('C6', conv, 'gone, without the change that removed');
      return void this.#places.delete(conv);
    }
    if (place.is === 'outside' || place.is === 'removed')
      return this.#report('C11', conv, `${turn.t} came to somebody who is ${place.is}`);
    if (turn.t === 'caught_up') return this.#onCaughtUp(conv, turn.seq, place);
    if (turn.t === 'reset') this.#checkEpoch(turn.epoch);
    this.#put(conv, { is: 'behind', seq: turn.t === 'reset' ? 0 : place.seq, replayed: [] });
  }

  #onCaughtUp(conv: string, seq: number, place: Place): void {
    if (place.is !== 'replaying' || place.seq !== seq)
      this.#report('C6', conv, `caught up with ${seq} when ${place.is} at ${place.seq}`);
    const timeline = this.#run.timelines.get(conv);
    if (timeline !== undefined) this.#checkReplay(conv, seq, place.replayed, timeline);
    this.#put(conv, { is: 'live', seq, replayed: [] });
  }

  /** What was deleted by the end of the replay comes without its text, everything else with it. */
  #checkReplay(conv: string, upTo: number, replayed: readonly Change[], timeline: Timeline): void {
    if (!timeline.isMemberAt(this.#user, upTo)) this.#report('C11', conv, `replayed to ${upTo} to somebody outside`);
    for (const change of replayed) {
      if (change.t !== 'message' && change.t !== 'edit') continue;
      const deletedAt =
        timeline.deletions.get(change.t === 'edit' ? change.of : change.seq) ?? Number.POSITIVE_INFINITY;
      const isErased = change.deleted === true && change.text === '';
      if (isErased !== deletedAt <= upTo)
        this.#report(
          'C9',
          conv,
          `${change.seq} was replayed ${isErased ? 'without' : 'with'} its text; deleted by ${deletedAt}, replayed to ${upTo}`,
        );
    }
  }
}

function standingAfter(change: Change, user: string): 'in' | 'out' | null {
  if (change.t === 'conv') return change.members?.some((member) => member.user === user) ? 'in' : null;
  if (change.t !== 'member' || change.user !== user || change.what === 'invite') return null;
  return change.what === 'leave' || change.what === 'kick' || change.what === 'ban' ? 'out' : 'in';
}
