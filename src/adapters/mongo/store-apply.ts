// Applying a batch of changes, in one transaction: the part is claimed under its epoch, what is new decided, what it acts on
// read, and all of it written together with the watermark. A batch of plain messages costs two commands and the commit.
import type { ClientSession } from 'mongodb';
import type { Change, Head, Position } from '../../ports/log.ts';
import { EpochError } from '../../ports/store.ts';
import type { ConvId, Millis } from '../../protocol/ids.ts';
import { keyTimeMs } from '../../protocol/key-time.ts';
import { Batch } from './batch.ts';
import { findFor, write } from './batch-storage.ts';
import type { Collections } from './documents.ts';
import { batchFailureOf } from './failures.ts';
import { type HeadRow, headsOf } from './heads.ts';
import { PartMemory } from './part-memory.ts';
import type { PartWriters } from './part-writer.ts';

export interface ApplyInput {
  readonly changes: readonly Change[];
  readonly upTo: Position;
  /** Of the parts, as the changes were read under. */
  readonly epochs: readonly number[];
}

/** A part that a batch has changes of, or moves. */
interface Claim {
  readonly part: number;
  readonly epoch: number;
  readonly offset: number;
  readonly latestKeyMs: Millis;
}

/** A claim that holds until the transaction ends. */
interface Held {
  readonly part: number;
  /** Of the part, before this one. */
  readonly batches: number;
}

interface Done {
  readonly held: readonly Held[];
  readonly heads: ReadonlyMap<ConvId, Head>;
}

export class Applier {
  readonly #collections: Collections;
  readonly #writers: PartWriters;
  readonly #memories = new Map<number, PartMemory>();
  /** What is covered, as far as this process knows. It may be more: it never goes back. */
  readonly #covered: number[] = [];

  constructor(collections: Collections, writers: PartWriters) {
    this.#collections = collections;
    this.#writers = writers;
  }

  /** @throws HoleError, EpochError, PoisonError, ChatError `unavailable` */
  async apply(input: ApplyInput): Promise<void> {
    const [lead] = this.#claims(input);
    if (lead === undefined) return;
    try {
      const done = await this.#writers.of(lead.part).transact((session) => this.#applyIn(session, input));
      this.#remember(input.changes, done);
    } catch (error) {
      throw batchFailureOf(error);
    }
    for (const [part, offset] of input.upTo.entries()) {
      this.#covered[part] = Math.max(this.#covered[part] ?? 0, offset);
    }
  }

  async #applyIn(session: ClientSession, input: ApplyInput): Promise<Done> {
    const { changes } = input;
    const held = await this.#hold(session, this.#claims(input));
    const batch = new Batch(changes, await this.#heads(session, held, changes));
    if (!batch.isEmpty) {
      const found = await findFor(this.#collections, session, batch.needs());
      await write(this.#collections, session, batch.fold(found));
    }
    return { held, heads: batch.heads() };
  }

  #claims({ changes, upTo, epochs }: ApplyInput): Claim[] {
    const parts = new Set(changes.map(({ part }) => part));
    for (const [part, offset] of upTo.entries()) if (offset > (this.#covered[part] ?? 0)) parts.add(part);
    return [...parts].map((part) => ({
      part,
      epoch: epochs[part] ?? 0,
      offset: upTo[part] ?? 0,
      latestKeyMs: latestKeyMs(changes, part),
    }));
  }

  async #hold(session: ClientSession, claims: readonly Claim[]): Promise<Held[]> {
    const held: Held[] = [];
    for (const claim of claims) {
      const { batches } = this.#memory(claim.part);
      const isLikeBefore = batches !== undefined && (await this.#take(session, claim, batches));
      held.push({ part: claim.part, batches: isLikeBefore ? batches : await this.#look(session, claim) });
    }
    return held;
  }

  /**
   * First of all commands: transactions on one part meet here, before either has done its work, so that none is carried out
   * beside another or beside the beginning of an epoch. The offset never goes back.
   */
  async #take(session: ClientSession, { part, epoch, offset, latestKeyMs }: Claim, batches: number): Promise<boolean> {
    const update = { $max: { offset, latestKeyMs }, $inc: { batches: 1 } };
    const { matchedCount } = await this.#collections.parts.updateOne({ _id: part, epoch, batches }, update, {
      session,
    });
    return matchedCount === 1;
  }

  /** Where others have written to the part, or nobody yet. */
  async #look(session: ClientSession, claim: Claim): Promise<number> {
    const { part, epoch, offset, latestKeyMs } = claim;
    const doc = await this.#collections.parts.findOne({ _id: part }, { session });
    if ((doc?.epoch ?? 0) !== epoch) throw new EpochError();
    const first = { _id: part, epoch, offset, latestKeyMs, batches: 1 };
    if (doc === null) await this.#collections.parts.insertOne(first, { session });
    else await this.#take(session, claim, doc.batches);
    return doc?.batches ?? 0;
  }

  /** Those this process knows, and the others from the store. */
  async #heads(session: ClientSession, held: readonly Held[], changes: readonly Change[]) {
    const known = new Map(held.map(({ part, batches }) => [part, this.#memory(part).headsAt(batches)]));
    const heads = new Map<ConvId, Head>();
    const unknown = new Set<ConvId>();
    for (const { conv, part } of changes) {
      const head = known.get(part)?.get(conv);
      if (head === undefined) unknown.add(conv);
      else heads.set(conv, head);
    }
    if (unknown.size === 0) return heads;
    const stored = this.#collections.convs.aggregate<HeadRow>(headsOf([...unknown]), {
      session,
      batchSize: unknown.size,
    });
    for (const { _id, head } of await stored.toArray()) heads.set(_id, head);
    return heads;
  }

  #remember(changes: readonly Change[], { held, heads }: Done): void {
    for (const { part, batches } of held) {
      const own = changes.filter((change) => change.part === part);
      const left = own.map(({ conv }) => [conv, heads.get(conv) as Head] as const);
      this.#memory(part).remember(batches, new Map(left));
    }
  }

  #memory(part: number): PartMemory {
    let memory = this.#memories.get(part);
    if (memory === undefined) {
      memory = new PartMemory();
      this.#memories.set(part, memory);
    }
    return memory;
  }
}

/** 0 where no key of the part carries a time. */
function latestKeyMs(changes: readonly Change[], part: number): Millis {
  let latest = 0;
  for (const { part: of, key } of changes) if (of === part && key !== null) latest = Math.max(latest, keyTimeMs(key));
  return latest;
}
