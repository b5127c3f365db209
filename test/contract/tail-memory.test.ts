// What the tail's memory keeps of a message deleted for all: nothing.
import t from 'tap';
import type { Change } from '../../src/ports/log.ts';
import { bodyText, type ChangeType, parseChange, wireText } from '../../src/protocol/changes.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { TailMemory } from '../../src/tail/index.ts';

const CONV = 'c1' as ConvId;
const USER = 'u1' as UserId;

class Story {
  readonly tail: TailMemory;
  #seq = 0;

  constructor(keepBytes = 1_048_576) {
    this.tail = new TailMemory([0], keepBytes);
  }

  tells(type: ChangeType, fields: object): number {
    const seq = ++this.#seq;
    const n = type === 'message' ? seq : 0;
    const wire = wireText(type, CONV, seq, n, USER, 1, null, bodyText(fields));
    const change: Change = { part: 0, offset: seq, conv: CONV, seq, n, type, from: USER, at: 1, key: null, wire };
    this.tail.add(change);
    this.tail.settle();
    return seq;
  }

  texts(after = 0): (string | undefined)[] {
    return (this.tail.after(CONV, after) ?? []).map(({ wire }) => {
      const body = parseChange(wire);
      return 'text' in body ? body.text : undefined;
    });
  }
}

t.test('its text, its edits, and the edit that was under way when it was deleted', async (t) => {
  const story = new Story();
  const secret = story.tells('message', { text: 'secret' });
  const other = story.tells('message', { text: 'other "of":1,' });
  story.tells('edit', { of: secret, text: 'secret still' });
  story.tells('edit', { of: other, text: 'changed "of":1,' });
  story.tells('delete', { of: secret });
  story.tells('edit', { of: secret, text: 'too late' });
  story.tells('edit', { of: other, text: 'in time' });
  t.same(story.texts(), ['', 'other "of":1,', '', 'changed "of":1,', undefined, '', 'in time']);
});

t.test('the late edit of a message that is in memory no more, too', async (t) => {
  const story = new Story(1_300);
  const secret = story.tells('message', { text: 'secret' });
  story.tells('edit', { of: secret, text: 'secret still' });
  story.tells('delete', { of: secret });
  story.tail.onStored([2]);
  for (let count = 0; count < 3; count++) story.tells('message', { text: 'x' });
  t.equal(story.tail.after(CONV, 1), null, 'message and edit are gone');
  story.tells('edit', { of: secret, text: 'too late' });
  t.same(story.texts(2).includes('too late'), false);
  t.equal(story.tail.after(CONV, 2)?.length, 5);
});
