// Marks in SQLite: the operations of the worker thread that owns the file, and the port on the main thread.
import type { DatabaseSync } from 'node:sqlite';
import type { Mark, MarkStore } from '../../ports/marks.ts';
import type { ConvId, UserId } from '../../protocol/ids.ts';
import type { Call, CallOf } from './thread.ts';

/** Operations `marks.*`. */
export function markOperations(db: DatabaseSync) {
  const put = db.prepare(`
    INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET read = excluded.read, received = excluded.received`);
  const ofUser = db.prepare('SELECT conv, user, read, received FROM marks WHERE user = ?');
  const inConv = db.prepare('SELECT conv, user, read, received FROM marks WHERE conv = ?');
  return {
    'marks.put': (marks: readonly Mark[]) => {
      for (const { conv, user, read, received } of marks) put.run(user, conv, read, received);
    },
    'marks.ofUser': (user: UserId) => ofUser.all(user) as unknown as Mark[],
    'marks.inConv': (conv: ConvId) => inConv.all(conv) as unknown as Mark[],
  };
}

export function sqliteMarks(call: Call): MarkStore {
  const run = call as CallOf<ReturnType<typeof markOperations>>;
  return {
    put: (marks) => run('marks.put', marks),
    ofUser: (user) => run('marks.ofUser', user),
    inConv: (conv) => run('marks.inConv', conv),
  };
}
