// A room so large that the server serves it in slices: order, entries and exits are as exact as in a small one. That
// pushes follow each other without gap or repeat is checked by the kit on every connection.
import t from 'tap';
import { type Client, random, server } from '../kit/index.ts';

const PEOPLE = 320;
const s = await server(t, { cheapPasswords: true });
const people = await s.clients(...Array.from({ length: PEOPLE }, (_, index) => `person-${index}`));
const [ann, bob] = people as [Client, Client];

async function roomOfAll(): Promise<string> {
  const room = await ann.room();
  await Promise.all(people.slice(1).map((person) => person.join(room)));
  return room;
}

t.test('everybody gets everything, while people come, go, reconnect and are removed', async (t) => {
  const chance = random();
  t.comment(`seed ${chance.seed}`);
  const room = await roomOfAll();
  const writers = people.slice(0, 5).map(async (writer) => {
    for (let count = 0; count < 12; count++) {
      await Promise.all(Array.from({ length: 1 + chance.whole(4) }, () => writer.send(room, `text ${count}`)));
    }
  });
  const movers = people.slice(5, 25).map(async (mover) => {
    await mover.leave(room);
    await mover.join(room);
  });
  const kicked = people.slice(25, 35);
  const kicks = kicked.map((person) => ann.kick(room, person));
  const newcomers = people.slice(35, 55).map(async (person) => {
    const since = person.since();
    return chance.chance(0.5) ? person.device({ since }) : person.device();
  });
  await Promise.all([...writers, ...movers, ...kicks]);
  const devices = await Promise.all(newcomers);
  const last = await bob.send(room, 'the end');
  const members = [...people.filter((person) => !kicked.includes(person)), ...devices];
  for (const member of members) await member.next('message', { seq: last.seq });
  for (const person of kicked) {
    await person.next('gone', { conv: room });
    await person.fence();
    t.match(person.changes(room).at(-1), { t: 'member', what: 'kick', user: person.id });
  }
  t.comment(`${last.seq} changes to ${members.length} connections`);
  t.equal(Object.keys(await ann.members(room)).length, PEOPLE - kicked.length);
});

t.test('when it is deleted, everybody is told so, those who were just coming in too', async (t) => {
  const room = await roomOfAll();
  const comers = people.slice(100, 110);
  await Promise.all(comers.map((person) => person.leave(room)));
  for (const comer of comers) await comer.next('gone', { conv: room });
  const sends = Promise.all(Array.from({ length: 100 }, () => bob.request({ t: 'message', conv: room, text: 'x' })));
  const joins = Promise.all(comers.map((person) => person.request({ t: 'join', conv: room })));
  const { status } = await ann.http('DELETE', `conversations/${room}`);
  t.equal(status, 204);
  const joined = await joins;
  await sends;
  const cameIn = comers.filter((_, index) => joined[index]?.t === 'ok');
  t.comment(`${cameIn.length} came in before the end`);
  for (const person of [...people.filter((one) => !comers.includes(one)), ...cameIn]) {
    await person.next('conv', { conv: room, deleted: true });
    await person.next('gone', { conv: room });
  }
  t.same(
    (await bob.device()).ready.convs.filter(({ conv }) => conv === room),
    [],
  );
});
