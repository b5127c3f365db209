// Changes on the wire: assembled as text, they read as what they were made of; erased, they hold nothing of the content.
import * as fc from 'fast-check';
import t from 'tap';
import {
  bodyText,
  countsAsMessage,
  erasedWire,
  type MessageChange,
  movesGuard,
  parseChange,
  wireText,
} from '../../src/protocol/changes.ts';

const aText = fc.string({ unit: 'binary' });
const anId = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
const aKey = fc.option(fc.stringMatching(/^[A-Za-z0-9_-]{8,64}$/));

t.test("a message's wire text is JSON of exactly what it was made of", async () => {
  await fc.assert(
    fc.property(anId, anId, aKey, aText, fc.nat(), fc.nat(), (conv, from, key, text, seq, n) => {
      const wire = wireText('message', conv, seq, n, from, 1_794_000_000_000, key, bodyText({ text, reply: 3 }));
      const numbers = n > 0 ? { n } : {};
      const wanted = {
        t: 'message',
        conv,
        seq,
        ...numbers,
        from,
        at: 1_794_000_000_000,
        ...(key === null ? {} : { key }),
        text,
        reply: 3,
      };
      return JSON.stringify(parseChange(wire)) === JSON.stringify(wanted) && wire === JSON.stringify(wanted);
    }),
  );
});

t.test('what is left out of a body is left out of the wire', async (t) => {
  t.equal(bodyText({ text: 'hi', reply: undefined, mentions: undefined }), '"text":"hi"');
  t.same(parseChange(wireText('delete', 'c1', 5, 0, 'u1', 7, null, bodyText({ of: 2 }))), {
    t: 'delete',
    conv: 'c1',
    seq: 5,
    from: 'u1',
    at: 7,
    of: 2,
  });
});

t.test('an erased message keeps its place and loses its content', async (t) => {
  const fields = {
    text: 'secret',
    reply: 3,
    thread: 2,
    files: [{ id: 'f', name: 'secret.txt', type: 'text/plain', size: 1 }],
    mentions: ['u2'],
  };
  const wire = wireText('message', 'c1', 5, 4, 'u1', 7, 'key-of-ann', bodyText(fields));
  t.same(JSON.parse(erasedWire(wire)), {
    t: 'message',
    conv: 'c1',
    seq: 5,
    n: 4,
    from: 'u1',
    at: 7,
    key: 'key-of-ann',
    reply: 3,
    thread: 2,
    text: '',
    deleted: true,
  });
  t.notMatch(erasedWire(wire), /secret|u2/);
});

t.test('an erased edit still says of what', async (t) => {
  const wire = wireText('edit', 'c1', 6, 0, 'u1', 8, null, bodyText({ of: 5, text: 'secret', mentions: ['all'] }));
  t.same(JSON.parse(erasedWire(wire)), {
    t: 'edit',
    conv: 'c1',
    seq: 6,
    from: 'u1',
    at: 8,
    of: 5,
    text: '',
    deleted: true,
  });
});

t.test('erasing twice is erasing once', async () => {
  await fc.assert(
    fc.property(aText, fc.nat(), (text, n) => {
      const wire = wireText('message', 'c1', 5, n, 'u1', 7, null, bodyText({ text, mentions: ['u2'] }));
      const once = erasedWire(wire);
      return erasedWire(once) === once && (parseChange(once) as MessageChange).text === '';
    }),
  );
});

t.test('only conversations and memberships move the guard, and only messages count', async (t) => {
  const types = ['conv', 'message', 'edit', 'delete', 'react', 'pin', 'member'] as const;
  t.same(types.filter(movesGuard), ['conv', 'member']);
  t.same(types.filter(countsAsMessage), ['message']);
});
