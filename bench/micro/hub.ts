// What the hub costs a recipient, beside the loop over sockets that no hub can do without. Recipients only count: their
// sockets are outbox.ts' matter.
import { Directory } from '../../src/conversations/index.ts';
import { Hub, LocalUser, type Receiver } from '../../src/gateway/hub.ts';
import { Flusher } from '../../src/gateway/outbox.ts';
import type { ConversationStore, StoredConv } from '../../src/ports/conversations.ts';
import { encodeFrame } from '../../src/protocol/codec.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { compare } from './compare.ts';

class Counting implements Receiver {
  count = 0;
  bytes = 0;

  pushChanges(_conv: ConvId, frames: Buffer, count: number): void {
    this.count += count;
    this.bytes += frames.length;
  }

  pushEphemeral(): void {
    this.count++;
  }

  pushGone(): void {
    this.count++;
  }
}

const conv = 'bench' as ConvId;
const frame = encodeFrame('x'.repeat(200));

async function hubOf(size: number) {
  const ids = Array.from({ length: size }, (_, index) => `user${index}` as UserId);
  const stored: StoredConv = {
    conv,
    state: { is: 'conv', kind: 'room', rev: 1 },
    head: { seq: 1, n: 0, guard: 1, at: 1 },
    members: ids.map((user) => ({ user, role: 'member' })),
  };
  const store: ConversationStore = {
    load: async () => [stored],
    ofUser: async () => [],
    rooms: async () => ({ items: [], cursor: null }),
  };
  const directory: Directory = new Directory(store, new TailMemory([0], 2 ** 20), 1_000, () => true);
  await directory.load([conv]);
  const hub = new Hub<Counting>(new Flusher(), () => directory);
  const receivers = ids.map((id) => {
    const receiver = new Counting();
    const user = new LocalUser<Counting>(id);
    user.connections.push(receiver);
    user.convs = new Set([conv]);
    hub.enter(user);
    hub.enterRooms(user);
    return receiver;
  });
  return { hub, receivers };
}

/** The largest room is the largest that is served at once, in the turn of the delivery. */
for (const size of [2, 10, 100, 250]) {
  const { hub, receivers } = await hubOf(size);
  hub.deliver(conv, frame, 1, 2);
  if (receivers.some(({ count }) => count !== 1)) throw new Error('the hub did not deliver to everyone');
  compare(
    `deliver to ${size}, each`,
    {
      'the loop alone': () => {
        for (const receiver of receivers) receiver.pushChanges(conv, frame, 1);
      },
      'Hub.deliver': () => hub.deliver(conv, frame, 1, 2),
    },
    size,
  );
}
