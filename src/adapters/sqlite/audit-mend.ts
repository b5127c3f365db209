// Puts a row of a view in its place, or takes it away. Of a change only what stands beside it for the views is written.
import type { DatabaseSync } from 'node:sqlite';
import type { ConvRow, Mend } from '../../ports/audit.ts';
import type { Head } from '../../ports/log.ts';

const NO_HEAD: Head = { seq: 0, n: 0, guard: 0, at: 0 };

/** To be run in a transaction. */
export function mender(db: DatabaseSync): (mend: Mend) => void {
  const putConv = db.prepare('INSERT OR REPLACE INTO convs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const dropConv = db.prepare('DELETE FROM convs WHERE conv = ?');
  const putMember = db.prepare('INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)');
  const dropMember = db.prepare('DELETE FROM members WHERE conv = ? AND user = ?');
  const putTouched = db.prepare('INSERT OR REPLACE INTO touched VALUES (?, ?, ?, ?)');
  const dropTouched = db.prepare('DELETE FROM touched WHERE conv = ? AND seq = ?');
  const flag = db.prepare('UPDATE changes SET of = ?, touched = ? WHERE conv = ? AND seq = ?');
  const putMark = db.prepare('UPDATE marks SET read = ?, received = ? WHERE conv = ? AND user = ?');

  function conv(row: ConvRow): void {
    const { seq, n, guard, at } = row.head ?? NO_HEAD;
    const [listed, deleted] = [Number(row.listed), Number(row.deleted)];
    putConv.run(row.conv, seq, n, guard, at, row.members, row.kind, row.name, listed, deleted, row.rev, row.state);
  }

  return function putInPlace(mend) {
    switch (mend.is) {
      case 'conv':
        return mend.row === null ? void dropConv.run(mend.conv) : conv(mend.row);
      case 'member':
        if (mend.row === null) dropMember.run(mend.conv, mend.user);
        else putMember.run(mend.conv, mend.user, mend.row.role, mend.row.rev);
        return;
      case 'touched':
        if (mend.row === null) dropTouched.run(mend.conv, mend.seq);
        else putTouched.run(mend.conv, mend.seq, mend.row.rev, mend.row.state);
        return;
      case 'change':
        return void flag.run(mend.row.of, touchedFlag(mend.row), mend.row.conv, mend.row.seq);
      case 'mark':
        return void putMark.run(mend.row.read, mend.row.received, mend.row.conv, mend.row.user);
    }
  };
}

function touchedFlag({ type, isOwnState }: Extract<Mend, { is: 'change' }>['row']): number | null {
  return type === 'message' && !isOwnState ? 1 : null;
}
