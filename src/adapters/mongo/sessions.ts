// Sessions in MongoDB. A refresh token is known by its hash and the generation it belongs to; tokens handed out for the
// same predecessor share one generation. Every token issued is remembered for as long as a login can go without being
// renewed (LOGIN_DAYS); what is older is forgotten by the database itself, the session last.
import type { Rotation, Session, SessionStore } from '../../ports/accounts.ts';
import type { Millis, SessionId } from '../../protocol/ids.ts';
import { inWaves } from '../waves.ts';
import type { Database } from './database.ts';
import type { SessionDoc, TokenDoc } from './documents.ts';

function sessionOf({ _id, user, createdAt }: SessionDoc): Session {
  return { id: _id, user, createdAt };
}

/** The first moment counts. */
const ENDED_AT = { $ifNull: ['$endedAt', '$$NOW'] };
const END = [{ $set: { ended: true, endedAt: ENDED_AT } }];

/**
 * Law 4 in one step, on the session's document; all expressions see it as it was before.
 * @param generation of the token that is used
 */
function rotation(generation: number, now: Millis, graceMs: Millis) {
  const isCurrent = { $eq: ['$generation', generation] };
  const isWithinGrace = { $lte: [{ $subtract: [now, '$rotatedAt'] }, graceMs] };
  const isRepeat = { $and: [{ $eq: ['$generation', generation + 1] }, isWithinGrace] };
  const isNew = { $and: [{ $not: ['$ended'] }, isCurrent] };
  const fields = {
    ended: { $or: ['$ended', { $not: [{ $or: [isCurrent, isRepeat] }] }] },
    generation: { $cond: [isNew, generation + 1, '$generation'] },
    rotatedAt: { $cond: [isNew, now, '$rotatedAt'] },
    usedAt: '$$NOW',
  };
  const isEnded = { $eq: ['$ended', true] };
  return [{ $set: fields }, { $set: { endedAt: { $cond: [isEnded, ENDED_AT, '$$REMOVE'] } } }];
}

export function mongoSessions(database: Database): SessionStore {
  const { sessions, tokens } = database.collections;

  const live = inWaves(
    async (ids: readonly SessionId[]) =>
      (await database.find<SessionDoc>('sessions', { _id: { $in: [...ids] }, ended: false })).map(sessionOf),
    ({ id }) => id,
  );

  async function issue(hash: string, id: SessionId, generation: number): Promise<void> {
    const fields = { session: { $literal: id }, generation, issuedAt: '$$NOW' };
    await database.run((session) => tokens.updateOne({ _id: hash }, [{ $set: fields }], { session, upsert: true }));
  }

  return {
    async open({ id, user, createdAt }, refreshHash) {
      await issue(refreshHash, id, 1);
      const fields = { user: { $literal: user }, createdAt, generation: 1, rotatedAt: createdAt, ended: false };
      const insert = [{ $set: { ...fields, usedAt: '$$NOW' } }];
      await database.run((session) => sessions.updateOne({ _id: id }, insert, { session, upsert: true }));
    },

    async get(id) {
      const [session] = await live([id]);
      return session ?? null;
    },

    async rotate(refreshHash, nextHash, now, graceMs): Promise<Rotation> {
      const [token] = await database.find<TokenDoc>('tokens', { _id: refreshHash });
      if (token === undefined) return { is: 'unknown' };
      const { session: id, generation } = token;
      // Whether it is current or repeated, its successor is of the next generation. Where it is neither, nobody is told.
      await issue(nextHash, id, generation + 1);
      const options = { returnDocument: 'after' } as const;
      const decided = await database.run((session) =>
        sessions.findOneAndUpdate({ _id: id }, rotation(generation, now, graceMs), { ...options, session }),
      );
      if (decided === null) return { is: 'unknown' };
      return { is: decided.ended ? 'reused' : 'rotated', session: sessionOf(decided) };
    },

    async end(id) {
      await database.run((session) => sessions.updateOne({ _id: id }, END, { session }));
    },

    async endedWithin(ms) {
      const isRecent = { $expr: { $gte: ['$endedAt', { $subtract: ['$$NOW', ms] }] } };
      const recent = await database.read<SessionDoc>('sessions', [{ $match: isRecent }, { $project: { _id: 1 } }]);
      return recent.map(({ _id }) => _id);
    },

    async endOthers(user, keep) {
      const others = { user, ended: false, ...(keep === null ? {} : { _id: { $ne: keep } }) };
      const live = await database.read<SessionDoc>('sessions', [{ $match: others }, { $project: { _id: 1 } }]);
      const ids = live.map(({ _id }) => _id);
      if (ids.length === 0) return [];
      await database.run((session) => sessions.updateMany({ _id: { $in: ids } }, END, { session }));
      return ids;
    },
  };
}
