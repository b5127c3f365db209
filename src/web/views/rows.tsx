// The rows of a conversation: days, the divider, messages. One stop for the Tab key; arrows go through them.
import type { Conversation } from '../../client/types.ts';
import { useCell } from '../store/cell.ts';
import { type Row, readersOf } from '../store/timeline.ts';
import { useAccount } from './context.ts';
import { type MessageActions, MessageRow } from './message.tsx';
import { NoteRow } from './note.tsx';
import { day } from './words.ts';

interface RowsProps {
  readonly conversation: Conversation;
  readonly rows: readonly Row[];
  readonly actions: MessageActions;
  /** Key of the line that is being edited. */
  readonly editing: string | null;
}

export function Rows({ conversation, rows, actions, editing }: RowsProps) {
  const { me } = useAccount();
  const focused = useCell(actions.focused);
  const readers = readersOf(conversation, me.id);
  const isModerator = conversation.role === 'owner' || conversation.role === 'moderator';
  const stop = rows.some(({ key }) => key === focused) ? focused : rows.findLast(({ is }) => is === 'line')?.key;
  const received = conversation.receipts.get(conversation.peer ?? '')?.received ?? 0;
  const quoted = (seq: number | null) => conversation.messages.find((message) => message.seq === seq);
  return (
    <ol aria-label="Messages" onKeyDown={moveFocus}>
      {rows.map((row) => {
        if (row.is !== 'line') return <Mark key={row.key} row={row} />;
        const { line, key, isFirst } = row;
        return (
          <MessageRow
            key={key}
            conversation={conversation}
            line={line}
            isFirst={isFirst}
            isStop={key === stop}
            isEditing={key === editing}
            mayRemove={line.isOwn || isModerator}
            readBy={line.isOwn && line.n !== null ? readersOfLine(readers, line.n) : ''}
            isDelivered={line.n !== null && line.n <= received}
            quoted={line.reply === null ? undefined : quoted(line.reply)}
            actions={actions}
          />
        );
      })}
    </ol>
  );
}

function Mark({ row }: { readonly row: Exclude<Row, { is: 'line' }> }) {
  if (row.is === 'note') return <NoteRow note={row.note} />;
  return row.is === 'day' ? <li class="day">{day(row.at)}</li> : <li class="divider">New</li>;
}

function readersOfLine(readers: ReadonlyMap<string, number>, n: number): string {
  return [...readers].flatMap(([user, read]) => (read >= n ? [user] : [])).join(' ');
}

function moveFocus(event: KeyboardEvent): void {
  const list = event.currentTarget as HTMLElement;
  const rows = [...list.querySelectorAll<HTMLElement>('[data-key]')];
  const at = rows.indexOf(event.target as HTMLElement);
  const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 }[event.key];
  if (at === -1 || next === undefined || event.altKey) return;
  event.preventDefault();
  rows[next]?.focus();
}
