// The path of a message, both halves.
//
//   accept:   arrive → token bucket → authorise → APPEND (commit point: idempotent, numbered, on disk) → ok
//   deliver:  tail → remember → project → encode once → hub → outbox
//
// Each step handles all that came in one turn of the event loop; while one append is under way the next batch collects in
// the log. What must wait before it can be decided is held back in its lane.
import {
  type Conversation,
  type Create,
  type Directory,
  decideConversationWrite,
  decideCreate,
} from '../conversations/index.ts';
import type { Counters } from '../counters.ts';
import { ChatError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Limiter } from '../ports/limiter.ts';
import type { Append, Appended, Change, Draft, Log, Tail } from '../ports/log.ts';
import { movesGuard } from '../protocol/changes.ts';
import { encodeFrame, encodeFrames } from '../protocol/codec.ts';
import type { ConvId, Seq, UserId } from '../protocol/ids.ts';
import type { TailMemory } from '../tail/index.ts';
import { decideAtOnce, decideMessageWrite, type Lookups } from './rules.ts';
import { type Arrival, isMessageWrite, type Submission, takesTurn, type Write } from './submission.ts';
import { Turns } from './turns.ts';

/** Where frames go: the gateway's hub. */
export interface Audience {
  /** Frames of consecutive plain changes of one conversation, `count` of them, up to `lastSeq`. */
  deliver(conv: ConvId, frames: Buffer, count: number, lastSeq: Seq): void;
  /** A change of members or of the conversation itself: who gets it, and who gets what follows. */
  deliverGuardMove(change: Change, frame: Buffer): void;
}

interface Deps {
  readonly log: Log;
  readonly limiter: Limiter;
  readonly clock: Clock;
  readonly directory: Directory;
  readonly tail: TailMemory;
  readonly audience: Audience;
  readonly lookups: Lookups;
  readonly counters: Counters;
  /** Called once for a message that was appended, not for its repeats. */
  readonly onSent: (conv: ConvId, user: UserId, n: number) => void;
}

interface Proposal {
  readonly submission: Submission;
  readonly append: Append;
}

export class Path {
  readonly #deps: Deps;
  #arrivals: Arrival[] = [];
  #proposals: Proposal[] = [];
  readonly #turns = new Turns();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  // ---- accept ----------------------------------------------------------------------------------------------------

  /** Takes a request that is well formed and whose sender is known; it goes on with all others of this turn. */
  accept(arrival: Arrival): void {
    if (this.#arrivals.push(arrival) === 1) setImmediate(() => void this.#acceptTurn());
  }

  async #acceptTurn(): Promise<void> {
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    const admitted = await this.#takeTokens(arrivals);
    for (const arrival of admitted) {
      if (arrival.submission === null) arrival.admit();
      else this.#authorise(arrival.submission);
    }
    void this.#append();
  }

  async #takeTokens(arrivals: readonly Arrival[]): Promise<readonly Arrival[]> {
    try {
      const waits = await this.#deps.limiter.take(arrivals.map(({ user, cost }) => ({ key: user, cost })));
      return arrivals.filter((arrival, index) => {
        const afterMs = waits[index] ?? 0;
        if (afterMs === 0) return true;
        this.#deps.counters.refusedByLimiter++;
        arrival.refuse(new ChatError('rate_limited', { afterMs }));
        return false;
      });
    } catch (error) {
      for (const arrival of arrivals) arrival.refuse(new ChatError('unavailable', { cause: error }));
      return [];
    }
  }

  /** Only messages are decided at once; all else waits until what was sent before it has taken effect. */
  #authorise(submission: Submission): void {
    const { lane, user, write } = submission;
    const { directory } = this.#deps;
    const conversation = directory.peek(write.conv);
    if (write.t !== 'message' || !conversation || lane.isHolding(directory.guardMoves)) {
      return this.#holdBack(submission);
    }
    try {
      const drafts = decideAtOnce(conversation, user, write, this.#deps.lookups);
      if (drafts === undefined) return this.#holdBack(submission);
      this.#propose(submission, conversation.head.guard, drafts);
    } catch (error) {
      void this.#decline(submission, error);
    }
  }

  #holdBack(submission: Submission): void {
    submission.lane.holdBack(submission, async (held) => {
      const endTurn = takesTurn(held) ? await this.#turns.take(held.write.conv, held.hasMoved === true) : null;
      await this.#authoriseHeld(held);
      return endTurn;
    });
  }

  async #authoriseHeld(submission: Submission): Promise<void> {
    const { user, write } = submission;
    try {
      if (write.t === 'create') {
        this.#propose(submission, 0, decideCreate(user, write));
        return void this.#append();
      }
      const conversation = await this.#deps.directory.get(write.conv);
      if (conversation === undefined) throw new ChatError('not_found');
      // Read before the decision: should it move while a lookup waits, the log refuses and the way begins again.
      const { guard } = conversation.head;
      this.#propose(submission, guard, await this.#decide(conversation, user, write));
      void this.#append();
    } catch (error) {
      await this.#decline(submission, error);
    }
  }

  async #decide(conversation: Conversation, user: UserId, write: Exclude<Write, Create>): Promise<readonly Draft[]> {
    if (isMessageWrite(write)) return decideMessageWrite(conversation, user, write, this.#deps.lookups);
    return decideConversationWrite(conversation, user, write);
  }

  #propose(submission: Submission, guard: Seq, drafts: readonly Draft[]): void {
    if (drafts.length === 0) return void this.#decline(submission, null);
    const { lane, user, write } = submission;
    // One key is one change: what makes several (adding people) has none, and its repeat has no effect.
    const key = write.t === 'add' ? null : submission.key;
    lane.enter(this.#deps.directory.guardMoves);
    this.#proposals.push({ submission, append: { conv: write.conv, from: user, key, guard, drafts } });
  }

  /** No effect (null) or refused: but a key that made a change once gets its first answer, whatever holds now. */
  async #decline(submission: Submission, error: unknown): Promise<void> {
    const { user, key, write } = submission;
    try {
      const first = key === null ? null : await this.#deps.log.recall(write.conv, user, key);
      if (first !== null) submission.answer({ ...first, dup: true });
      else if (error === null) submission.answer(null);
      else submission.refuse(error);
    } catch (unknown) {
      submission.refuse(unknown);
    }
  }

  async #append(): Promise<void> {
    if (this.#proposals.length === 0) return;
    const proposals = this.#proposals;
    this.#proposals = [];
    const startedMs = this.#deps.clock.monotonic();
    try {
      const results = await this.#deps.log.append(proposals.map(({ append }) => append));
      this.#deps.counters.ackMs.observe(this.#deps.clock.monotonic() - startedMs, proposals.length);
      for (let index = 0; index < proposals.length; index++) {
        this.#onAppended(proposals[index] as Proposal, results[index] as Appended);
      }
    } catch (error) {
      for (const { submission } of proposals) this.#onUnknown(submission, error);
    }
  }

  #onAppended({ submission, append }: Proposal, result: Appended): void {
    const { counters, onSent } = this.#deps;
    if (result.is === 'moved') return this.#onMoved(submission, result.guard);
    if (result.dup) counters.repeated++;
    else counters.appended += append.drafts.length;
    if (!result.dup && result.n > 0) onSent(append.conv, append.from, result.n);
    submission.answer(result);
    // What follows a change of members in its lane is decided on what it has changed.
    const isPlain = result.dup || !append.drafts.some(({ type }) => movesGuard(type));
    if (isPlain) submission.lane.leave();
    else void this.#deps.directory.reach(append.conv, result.seq).then(() => submission.lane.leave());
  }

  /** Law 11: what this was authorised on is no longer so. Once this node has seen why, it is authorised again, in its place. */
  #onMoved(submission: Submission, guard: Seq): void {
    const { lane, write } = submission;
    this.#deps.counters.reauthorised++;
    if (write.t === 'create') {
      submission.answer({ seq: 1, n: 0, at: 0, dup: true });
      return lane.leave();
    }
    submission.hasMoved = true;
    this.#holdBack(submission);
    void this.#deps.directory.reach(write.conv, guard).then(() => lane.leave());
  }

  /** The log could not say whether it was written: the client repeats with the same id. */
  #onUnknown(submission: Submission, error: unknown): void {
    submission.refuse(error);
    submission.lane.leave();
  }

  // ---- deliver ---------------------------------------------------------------------------------------------------

  /** Feeds everything that follows from the tail of the log, this node's own appends included, until the tail ends. */
  async deliver(tail: Tail): Promise<void> {
    for await (const changes of tail) this.#deliverBatch(changes);
  }

  #deliverBatch(changes: readonly Change[]): void {
    const { tail, directory, audience } = this.#deps;
    const plain = new Map<ConvId, Change[]>();
    for (const change of changes) {
      tail.add(change);
      directory.onChange(change);
      if (!movesGuard(change.type)) {
        const run = plain.get(change.conv);
        if (run === undefined) plain.set(change.conv, [change]);
        else run.push(change);
        continue;
      }
      this.#deliverRun(plain.get(change.conv));
      plain.delete(change.conv);
      audience.deliverGuardMove(change, encodeFrame(change.wire));
    }
    for (const run of plain.values()) this.#deliverRun(run);
    tail.settle();
  }

  #deliverRun(run: readonly Change[] | undefined): void {
    const last = run?.at(-1);
    if (run === undefined || last === undefined) return;
    this.#deps.audience.deliver(last.conv, encodeFrames(run.map((change) => change.wire)), run.length, last.seq);
  }
}
