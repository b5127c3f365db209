// Marks in MongoDB. Puts are carried out in the order of their calls.
import { MaxKey } from 'mongodb';
import type { Mark, MarkStore } from '../../ports/marks.ts';
import type { UserId } from '../../protocol/ids.ts';
import { inWaves } from '../waves.ts';
import type { Database } from './database.ts';
import type { MarkDoc } from './documents.ts';

/** Of several marks of one place the last one. */
function latest(marks: readonly Mark[]): Mark[] {
  return [...new Map(marks.map((mark) => [`${mark.user} ${mark.conv}`, mark])).values()];
}

function markOf({ _id: { user, conv }, read, received }: MarkDoc): Mark {
  return { conv, user, read, received };
}

/** A range of the index of `_id`. */
function placesOf(user: UserId) {
  return { _id: { $gt: { user }, $lt: { user, conv: new MaxKey() } } };
}

export function mongoMarks(database: Database): MarkStore {
  const { marks } = database.collections;
  let last: Promise<void> = Promise.resolve();

  async function write(given: readonly Mark[]): Promise<void> {
    if (given.length === 0) return;
    const updates = latest(given).map(({ conv, user, read, received }) => ({
      updateOne: { filter: { _id: { user, conv } }, update: { $set: { read, received } }, upsert: true },
    }));
    await database.run((session) => marks.bulkWrite(updates, { session, ordered: false }));
  }

  async function found(match: object): Promise<readonly Mark[]> {
    return (await database.find<MarkDoc>('marks', match)).map(markOf);
  }

  const ofUsers = inWaves(
    (users: readonly UserId[]) => found({ $or: users.map(placesOf) }),
    ({ user }) => user,
  );

  return {
    put(given) {
      const done = last.then(() => write(given));
      last = done.catch(() => undefined);
      return done;
    },
    ofUser: (user) => ofUsers([user]),
    inConv: (conv) => found({ '_id.conv': conv }),
  };
}
