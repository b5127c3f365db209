// A data folder of any size, written through the ports that the server writes by: conversations of messages, of which every
// so manyth is edited.
import { join } from 'node:path';
import { openSqliteLog } from '../../src/adapters/sqlite/log.ts';
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import type { Append, Change, Log, Tail } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { bodyText } from '../../src/protocol/changes.ts';
import type { ConvId, Key, UserId } from '../../src/protocol/ids.ts';

export interface Size {
  readonly convs: number;
  /** Of each. */
  readonly messages: number;
  /** One edit follows on so many messages. */
  readonly editEvery: number;
}

const APPEND_AT_ONCE = 2_000;
const ANN = 'ann' as UserId;

export async function mintFolder(dataDir: string, size: Size): Promise<void> {
  const storeFile = join(dataDir, 'store.db');
  const store = await openSqliteStore({ file: storeFile });
  const log = await openSqliteLog({ file: join(dataDir, 'log.db'), storeFile, budgetBytes: 2 ** 34 });
  const user = { id: ANN, name: 'ann', displayName: 'Ann', email: 'ann@example.org', password: '', createdAt: 0 };
  await sqliteUsers(store.thread.call).create(user);
  const tail = log.tail([0]);
  const storing = storeAll(tail, log, store.messages, size.convs * changesOf(size));
  await appendAll(log, size);
  await storing;
  await log.close();
  await store.close();
}

/** Of a conversation. */
export function changesOf({ messages, editEvery }: Size): number {
  return 1 + messages + Math.floor(messages / editEvery);
}

async function storeAll(tail: Tail, log: Log, store: MessageStore, total: number): Promise<void> {
  for await (const changes of tail) {
    const { offset } = changes.at(-1) as Change;
    await store.apply(changes, [offset]);
    await log.trim([offset]);
    if (offset === total) return;
  }
}

async function appendAll(log: Log, size: Size): Promise<void> {
  let items: Append[] = [];
  for (let index = 0; index < size.convs; index++) {
    for (const item of appends(`conv-${String(index).padStart(6, '0')}` as ConvId, size)) {
      items.push(item);
      if (items.length < APPEND_AT_ONCE) continue;
      await log.append(items);
      items = [];
    }
  }
  await log.append(items);
}

function* appends(conv: ConvId, { messages, editEvery }: Size): Generator<Append> {
  const members = [{ user: ANN, role: 'owner' }];
  yield {
    conv,
    from: ANN,
    key: null,
    guard: 0,
    drafts: [{ type: 'conv', body: bodyText({ kind: 'group', members }) }],
  };
  let seq = 1;
  for (let n = 1; n <= messages; n++) {
    const body = bodyText({ text: `message ${n} of many, about as long as people write` });
    yield { conv, from: ANN, key: `message-${n}` as Key, guard: 1, drafts: [{ type: 'message', body }] };
    const of = ++seq;
    if (n % editEvery !== 0) continue;
    const edit = bodyText({ of, text: `message ${n} of many, and better now` });
    yield { conv, from: ANN, key: `edit-${n}` as Key, guard: 1, drafts: [{ type: 'edit', body: edit }] };
    seq++;
  }
}
