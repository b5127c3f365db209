// The checker behind every connection of a test. Told of every frame a connection sends and gets, it finds what breaks the
// protocol's promises 3, 5 and 6: a change repeated, left out or out of order, one pushed to who should not get it, a
// second answer, or one number that names two changes. It knows only what a client can know.
import type { Ready, SyncAnswer } from '../../src/protocol/answers.ts';
import { type Change, isChange, type Push, type PushOf } from './frames.ts';

/** Where a connection stands in a conversation: the last change it has, and what may come next. */
interface Place {
  /** `live` and `replaying`: the next change; `behind`: none before a pull; `removed`: only `gone`; `outside`: only what lets one in. */
  is: 'live' | 'replaying' | 'behind' | 'removed' | 'outside';
  seq: number;
  /** Of the last message and the last change; 0 = unknown. */
  n: number;
  at: number;
}

export interface Since {
  readonly epoch: string;
  readonly convs: Readonly<Record<string, number>>;
}

/** What all connections to a server have seen: in one epoch one number names one change, for everybody (promise 3). */
export class Ledger {
  readonly #changes = new Map<string, Change>();

  /** @returns what is wrong, or null */
  compare(change: Change, epoch = ''): string | null {
    const place = `${epoch} ${change.conv} ${change.seq}`;
    const known = this.#changes.get(place);
    if (known === undefined || isErased(known)) this.#changes.set(place, change);
    if (known === undefined || sameChange(known, change)) return null;
    return `seq ${change.seq} names two changes: ${JSON.stringify(known)} and ${JSON.stringify(change)}`;
  }
}

function isErased(change: Change): boolean {
  return 'deleted' in change && change.t !== 'conv';
}

/** An erased change is its original without the content. */
function sameChange(one: Change, other: Change): boolean {
  const isEither = isErased(one) || isErased(other);
  const text = (change: Change) => JSON.stringify(isEither ? withoutContent(change) : change);
  return text(one) === text(other);
}

function withoutContent(change: Change): object {
  const { text: _text, deleted: _deleted, mentions: _mentions, files: _files, ...rest } = change as PushOf<'message'>;
  return rest;
}

export class Observer {
  readonly #ledger: Ledger;
  readonly #onFault: (fault: string) => void;
  readonly #places = new Map<string, Place>();
  #user = '';
  #epoch = '';
  /** `ready` could not name all conversations. */
  #mayKnowMore = false;

  constructor(ledger: Ledger, onFault: (fault: string) => void) {
    this.#ledger = ledger;
    this.#onFault = onFault;
  }

  /** The last change of each conversation this connection is in: what `since` is made of. */
  cursors(): Record<string, number> {
    const inside = [...this.#places].filter(([, place]) => place.is !== 'outside' && place.is !== 'removed');
    return Object.fromEntries(inside.map(([conv, { seq }]) => [conv, seq]));
  }

  isBehind(conv: string): boolean {
    return this.#places.get(conv)?.is === 'behind';
  }

  onReady(ready: Ready, since: Since | undefined): void {
    this.#user = ready.user.id;
    this.#epoch = ready.epoch;
    this.#mayKnowMore = ready.more;
    for (const { conv, seq, n, role } of ready.convs) {
      this.#places.set(conv, { is: role === 'invited' ? 'outside' : 'live', seq, n, at: 0 });
    }
    for (const [conv, seq] of Object.entries(since?.convs ?? {})) {
      const isThere = this.#places.get(conv)?.is === 'live' || (ready.more && !this.#places.has(conv));
      this.#places.set(conv, { is: isThere ? 'replaying' : 'removed', seq, n: 0, at: 0 });
    }
  }

  onSync(answer: SyncAnswer): void {
    const { conv, epoch, from, to, head, more, items } = answer;
    this.#epoch = epoch;
    const revs = items.map(({ rev }) => rev);
    if (revs.some((rev, index) => rev <= from || rev > to || rev < (revs[index - 1] ?? 0)))
      this.#fault(conv, `a sync from ${from} to ${to} has the revs ${revs}`);
    if (to > head || more !== to < head) this.#fault(conv, `a sync to ${to} of ${head} says more:${more}`);
    const place = this.#places.get(conv);
    if (place === undefined || more) return;
    if (place.is === 'live' && to < place.seq) this.#fault(conv, `a sync to ${to} is older than seq ${place.seq}`);
    if (place.is === 'behind') this.#places.set(conv, { is: 'live', seq: to, n: 0, at: place.at });
  }

  onPush(push: Push): void {
    if (isChange(push)) return this.#onChange(push);
    if (push.t === 'caught_up' || push.t === 'behind' || push.t === 'reset' || push.t === 'gone') this.#onTurn(push);
  }

  #onChange(change: Change): void {
    const { conv, seq } = change;
    const divergence = this.#ledger.compare(change, this.#epoch);
    if (divergence !== null) this.#fault(conv, divergence);
    const known = this.#places.get(conv);
    const standing = this.#standingAfter(change);
    const place = known ?? { is: 'outside', seq: 0, n: 0, at: 0 };
    if (place.is === 'behind' || place.is === 'removed') this.#fault(conv, `seq ${seq} came while ${place.is}`);
    else if (place.is === 'outside') this.#checkEntry(change, standing, known === undefined && this.#mayKnowMore);
    else this.#checkNext(change, place);
    this.#places.set(conv, {
      is: this.#nextIs(place.is, standing),
      seq,
      n: change.t === 'message' ? change.n : place.is === 'outside' ? 0 : place.n,
      at: change.at,
    });
  }

  #nextIs(is: Place['is'], standing: 'in' | 'out' | 'invited' | null): Place['is'] {
    // What is replayed is long past: one may have been out and in again.
    if (is === 'replaying') return 'replaying';
    if (standing === 'out') return 'removed';
    return is === 'outside' && standing === 'invited' ? 'outside' : 'live';
  }

  #checkEntry({ conv, seq, t }: Change, standing: 'in' | 'out' | 'invited' | null, mayBeInside: boolean): void {
    if (standing === null && !mayBeInside) this.#fault(conv, `${t} ${seq} came to somebody outside`);
  }

  #checkNext(change: Change, place: Place): void {
    const { conv, seq, at } = change;
    if (seq !== place.seq + 1) this.#fault(conv, `seq ${seq} came after ${place.seq} (${place.is})`);
    if (at < place.at) this.#fault(conv, `the time of seq ${seq} goes back`);
    if (change.t === 'message' && place.n > 0 && change.n !== place.n + 1)
      this.#fault(conv, `message ${change.n} came after ${place.n}`);
  }

  /** What a change makes of this connection's user. */
  #standingAfter(change: Change): 'in' | 'out' | 'invited' | null {
    if (change.t === 'conv') {
      if (change.deleted) return 'out';
      return change.members?.some(({ user }) => user === this.#user) ? 'in' : null;
    }
    if (change.t !== 'member' || change.user !== this.#user) return null;
    if (change.what === 'invite') return 'invited';
    return change.what === 'leave' || change.what === 'kick' || change.what === 'ban' ? 'out' : 'in';
  }

  #onTurn(turn: PushOf<'caught_up' | 'reset' | 'gone'>): void {
    const { conv, t } = turn;
    const place = this.#places.get(conv);
    if (place === undefined || place.is === 'outside') {
      if (!this.#mayKnowMore) this.#fault(conv, `${t} came to somebody outside`);
      return;
    }
    if (t === 'gone') {
      if (place.is === 'live') this.#fault(conv, 'gone came without the change that removed');
      place.is = 'outside';
    } else if (t === 'caught_up') {
      if (place.is !== 'replaying' || place.seq !== turn.seq)
        this.#fault(conv, `caught_up ${turn.seq} came at ${place.seq} (${place.is})`);
      place.is = 'live';
    } else {
      if (turn.t === 'reset') this.#epoch = turn.epoch;
      if (place.is === 'removed') this.#fault(conv, `${t} came to somebody removed`);
      // A node that cannot ask the log may know less than who comes to it.
      const knowsLess = turn.seq < place.seq && place.is !== 'replaying';
      if (t === 'behind' && (place.is === 'behind' || knowsLess))
        this.#fault(conv, `behind ${turn.seq} came at ${place.seq} (${place.is})`);
      this.#places.set(conv, { is: 'behind', seq: t === 'reset' ? 0 : place.seq, n: 0, at: 0 });
    }
  }

  #fault(conv: string, text: string): void {
    this.#onFault(`${conv}: ${text}`);
  }
}
