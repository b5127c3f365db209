// Many who join one room at once: each costs about one write, and those who talk there are heard meanwhile.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const PEOPLE = 120;
const s = await server(t, { cheapPasswords: true });
const [ann, ...people] = await s.clients(...Array.from({ length: PEOPLE }, (_, index) => `person-${index}`));

async function reauthorised(): Promise<number> {
  const { body } = await s.http('GET', '/metrics');
  return Number(/^chat_reauthorised_total (\d+)$/m.exec(body.text as string)?.[1]);
}

t.test('joins of one room at once do not keep refusing each other, nor what is said meanwhile', async (t) => {
  const speaker = ann as Client;
  const room = await speaker.room();
  let isOver = false;
  const joins = Promise.all(people.map((person) => person.join(room))).finally(() => {
    isOver = true;
  });
  let said = 0;
  for (; !isOver; said++) await speaker.send(room, 'text');
  await joins;
  t.equal(Object.keys(await speaker.members(room)).length, PEOPLE);
  t.ok(said > 3, `${said} messages while ${people.length} joined`);
  const again = await reauthorised();
  t.ok(again < 3 * PEOPLE, `${again} authorised again`);
});

t.test('somebody whose changes of members wait for those of others still has them in the order sent', async (t) => {
  const room = await (ann as Client).room();
  const [bob, ...others] = people as [Client, ...Client[]];
  const sent = [
    bob.request({ t: 'join', conv: room }),
    bob.request({ t: 'message', conv: room, text: 'in' }),
    bob.request({ t: 'leave', conv: room }),
    bob.request({ t: 'message', conv: room, text: 'out' }),
    bob.request({ t: 'join', conv: room }),
    bob.request({ t: 'message', conv: room, text: 'in again' }),
  ];
  await Promise.all(others.map((person) => person.join(room)));
  t.same(
    (await Promise.all(sent)).map((answer) => (answer.t === 'error' ? answer.code : answer.t)),
    ['ok', 'ok', 'ok', 'forbidden', 'ok', 'ok'],
  );
  t.same(
    (await bob.allMessages(room)).map(({ text }) => text),
    ['in', 'in again'],
  );
});
