// The client against the real server, which is killed, drained and restarted under it.
import t from 'tap';
import { Session } from '../../src/client/http.ts';
import type { Chat, MessageState } from '../../src/client/types.ts';
import { eventually, random, type Server, server } from '../kit/index.ts';
import { device, type Person, person } from './kit/people.ts';

const KILLS = 3;

t.setTimeout(300_000);

/** All messages, as the server has them. */
async function truthOf(s: Server, { session }: Person, conv: string): Promise<readonly MessageState[]> {
  const truth: MessageState[] = [];
  for (let more = true; more; ) {
    const { access } = await session.token();
    const path = `conversations/${conv}/messages?limit=200&after=${truth.at(-1)?.seq ?? 0}`;
    const page = await s.http('GET', path, undefined, { token: access });
    truth.push(...(page.body.items as unknown as MessageState[]));
    more = page.body.more === true;
  }
  return truth;
}

/** What a page keeps of a login, and its tabs share. */
function keptLogin() {
  let login: string | null = null;
  return {
    read: () => login,
    write: (kept: string | null) => {
      login = kept;
    },
  };
}

t.test('what two write while their server is killed again and again is there, once, in order, for both', async (t) => {
  const s = await server(t);
  const chance = random();
  t.comment(`seed ${chance.seed}`);
  const people = [await person(t, s, 'ann'), await person(t, s, 'bob')] as const;
  const [ann, bob] = people;
  const { conv } = await ann.api.create({ kind: 'group', title: 'storm', members: [bob.session.user?.id ?? ''] });
  const places = await Promise.all(people.map((one) => one.in(conv)));
  const written: string[][] = [[], []];
  const write = (index: 0 | 1) => {
    const text = `${index} ${written[index]?.length}`;
    written[index]?.push(text);
    return places[index]?.send(text);
  };
  await places[0]?.open();
  for (let kill = 0; kill < KILLS; kill++) {
    for (let count = 0; count < 12; count++) write(chance.pick([0, 1] as const));
    await eventually(() => ann.told.length + bob.told.length > kill * 20);
    if (kill % 2 === 0) await s.restart('SIGKILL');
    else await s.restart('SIGTERM');
  }
  const last = [write(0), write(1)];
  await Promise.all(last.map((sending) => sending?.done));
  await eventually(() => people.every(({ chat }) => chat.sendings.length === 0));
  await eventually(() => people.every(({ told }) => told.length === written.flat().length));
  for (const [index, one] of people.entries()) {
    t.same(
      one.told.filter((text) => text.startsWith('0')),
      written[0],
      `what ann wrote, told to ${index}`,
    );
    t.same(
      one.told.filter((text) => text.startsWith('1')),
      written[1],
      `what bob wrote, told to ${index}`,
    );
    const place = await one.in(conv);
    if (!place.isOpen) await place.open(200);
    while (place.hasOlder) await place.older(200);
    t.same(place.messages, await truthOf(s, one, conv), `what is shown to ${index}`);
  }
  t.same(ann.told, bob.told);
});

t.test('a device that was away gets what it missed, more than a replay holds too', async (t) => {
  const s = await server(t);
  const [ann, bob] = [await person(t, s, 'ann'), await person(t, s, 'bob')];
  const { conv } = await ann.api.create({ kind: 'group', title: 'away', members: [bob.session.user?.id ?? ''] });
  const here = await ann.in(conv);
  await bob.in(conv);
  let { chat } = bob;
  for (const missed of [5, 700]) {
    const since = chat.cursors();
    chat.close();
    for (let n = 0; n < missed; n++) here.send(`${missed} ${n}`);
    await eventually(() => ann.chat.sendings.length === 0);
    const back = await device(t, s, 'bob', { since });
    await eventually(() => back.told.length === missed);
    t.same(back.told, ann.told.slice(-missed));
    t.equal((await back.in(conv)).n, ann.told.length);
    chat = back.chat;
  }
});

t.test('two devices of one user agree on what is read', async (t) => {
  const s = await server(t);
  const [ann, bob] = [await person(t, s, 'ann'), await person(t, s, 'bob')];
  const phone = await device(t, s, 'bob', { device: 'phone' });
  const { conv } = await ann.api.create({ kind: 'group', title: 'news', members: [bob.session.user?.id ?? ''] });
  const [here, there, pocket] = [await ann.in(conv), await bob.in(conv), await phone.in(conv)];
  for (let n = 1; n <= 5; n++) await here.send(`news ${n}`).done;
  await eventually(() => there.unread === 5 && pocket.unread === 5);
  there.markRead(3);
  await eventually(() => pocket.unread === 2);
  pocket.markRead();
  await eventually(() => there.unread === 0);
  there.markRead(1, { unread: true });
  await eventually(() => pocket.unread === 4);
  await eventually(() => here.receipts.get(bob.session.user?.id ?? '')?.read === 1);
  await there.send('mine').done;
  await eventually(() => there.unread === 0);
  t.equal((await device(t, s, 'bob').then((third) => third.in(conv))).unread, 0);
});

t.test('who comes back finds the list in the order in which something was said last', async (t) => {
  const s = await server(t);
  const ann = await person(t, s, 'ann');
  const make = async (title: string) => ann.in((await ann.api.create({ kind: 'group', title })).conv);
  const busy = await make('busy');
  for (let n = 1; n <= 5; n++) await busy.send(`${n}`).done;
  const quiet = await make('quiet');
  await quiet.send('just now').done;
  const fresh = await make('fresh');
  const order = ({ conversations }: Chat) =>
    [...conversations.values()]
      .sort((one, other) => other.at - one.at || other.seq - one.seq)
      .map(({ title }) => title);
  await eventually(() => fresh.at > 0);
  t.same(order(ann.chat), ['fresh', 'quiet', 'busy'], 'one that is new is the latest');
  const back = await device(t, s, 'ann');
  await eventually(() => [...back.chat.conversations.values()].filter(({ last }) => last !== undefined).length === 2);
  t.same(order(back.chat).slice(0, 2), ['quiet', 'busy']);
});

t.test('who signs out is signed out at once, without the server, and who signs in next stays', async (t) => {
  const s = await server(t);
  await s.account('ann');
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const session = new Session({
    url: s.url,
    fetch: async (path, init) => {
      if (`${path}`.endsWith('/auth/logout')) await released;
      return fetch(path, init);
    },
  });
  await session.signIn('ann', 'correct horse battery');
  const { access } = await session.token();
  const signingOut = session.signOut();
  t.equal(session.user, null);
  await session.signIn('ann', 'correct horse battery');
  release();
  await signingOut;
  t.equal(session.user?.name, 'ann');
  const me = (token: string) => s.http('GET', 'users/me', undefined, { token });
  t.equal((await me(access)).status, 401, 'on the server too');
  t.equal((await me((await session.token()).access)).status, 200);
});

t.test('a tab that has no token in memory signs out on the server too', async (t) => {
  const s = await server(t);
  await s.account('ann');
  const keep = keptLogin();
  const first = new Session({ url: s.url, keep });
  await first.signIn('ann', 'correct horse battery');
  const { access } = await first.token();
  await new Session({ url: s.url, keep }).signOut();
  t.equal(keep.read(), null);
  t.equal((await s.http('GET', 'users/me', undefined, { token: access })).status, 401);
});

t.test('edits, deletions, members and titles arrive where a conversation is open and where it is not', async (t) => {
  const s = await server(t);
  const [ann, bob, carl] = [await person(t, s, 'ann'), await person(t, s, 'bob'), await person(t, s, 'carl')];
  const bobId = bob.session.user?.id ?? '';
  const { conv } = await ann.api.create({ kind: 'group', title: 'plans', members: [bobId] });
  const [here, there] = [await ann.in(conv), await bob.in(conv)];
  await here.open();
  const { seq = 0 } = await there.send('ten o clock').done;
  await there.edit(seq, "eleven o'clock").done;
  await eventually(() => here.messages[0]?.text === "eleven o'clock");
  t.equal(there.last?.text, "eleven o'clock");
  await there.remove(seq).done;
  await eventually(() => here.messages[0]?.deleted === true);
  await ann.api.change(conv, { title: 'no plans' });
  await eventually(() => there.title === 'no plans');
  await ann.api.addMembers(conv, [carl.session.user?.id ?? '']);
  const newcomer = await carl.in(conv);
  await eventually(() => newcomer.title === 'no plans' && newcomer.n === 1);
  await ann.api.setRole(conv, bobId, 'moderator');
  await eventually(() => there.role === 'moderator');
  await ann.api.removeMember(conv, carl.session.user?.id ?? '');
  await eventually(() => !carl.chat.conversations.has(conv));
  const refused = await carl.chat
    .write({ t: 'message', conv, text: 'let me in' })
    .done.catch((refusal) => refusal.code);
  t.equal(refused, 'not_found');
  await eventually(() => here.members?.size === 2 && here.members.get(bobId) === 'moderator');
});

t.test(
  'a short token is renewed without a new connection; one whose end is not told costs one, and nothing else',
  async (t) => {
    const s = await server(t, { env: { CHAT_ACCESS_TTL: '4s' } });
    const ann = await person(t, s, 'ann');
    await s.account('bob');
    const bob = await device(t, s, 'bob', {
      token: async () =>
        (await s.http('POST', 'auth/login', { login: 'bob', password: 'correct horse battery' })).body.access as string,
    });
    const states: string[] = [];
    const ends: string[] = [];
    ann.chat.on('state', ({ state }) => states.push(state));
    bob.chat.on('state', ({ reason }) => reason !== undefined && ends.push(reason));
    const { conv } = await ann.api.create({ kind: 'direct', members: [bob.chat.me?.id ?? ''] });
    const here = await ann.in(conv);
    await eventually(() => ends.length === 2);
    await eventually(() => bob.chat.state === 'online');
    await here.send('still there?').done;
    await eventually(() => bob.told.length === 1);
    t.same(states, []);
    t.same(ends, ['4003', '4003']);
  },
);

t.test('a login that is ended elsewhere closes the chat for good', async (t) => {
  const s = await server(t);
  const [ann, other] = [await person(t, s, 'ann'), await device(t, s, 'ann')];
  await ann.api.changePassword('correct horse battery', 'another horse battery');
  await eventually(() => other.chat.state === 'closed');
  t.equal(other.chat.reason, '4503');
  t.equal(ann.chat.state, 'online');
  await ann.session.signOut();
  await eventually(() => ann.chat.state === 'closed');
  t.equal(ann.session.user, null);
});

t.test('tabs that share a login and refresh at once all stay signed in', async (t) => {
  const s = await server(t);
  await s.account('ann');
  const keep = keptLogin();
  const first = new Session({ url: s.url, keep });
  await first.signIn('ann', 'correct horse battery');
  const tabs = Array.from({ length: 5 }, () => new Session({ url: s.url, keep }));
  const access = await Promise.all(tabs.map((tab) => tab.token()));
  t.ok(access.every(({ access }) => access.length > 0));
  const names = await Promise.all(tabs.map((tab) => tab.request<{ name: string }>('GET', 'users/me')));
  t.same(new Set(names.map(({ name }) => name)), new Set(['ann']));
  await tabs[0]?.signOut();
  await t.rejects(async () => tabs[1]?.token(true), { code: 'invalid_token' });
});

t.test('a rate limit is waited out, in order', async (t) => {
  const s = await server(t, { env: { CHAT_MESSAGE_RATE: '20', CHAT_MESSAGE_BURST: '10' } });
  const ann = await person(t, s, 'ann');
  const convs = await Promise.all(['one', 'two', 'three'].map((title) => ann.api.create({ kind: 'group', title })));
  const places = await Promise.all(convs.map(({ conv }) => ann.in(conv)));
  for (let n = 0; n < 20; n++) for (const place of places) place.send(`${place.title} ${n}`);
  await eventually(() => ann.chat.sendings.length === 0 && ann.told.length === 60);
  for (const { title } of places) {
    t.same(
      ann.told.filter((text) => text.startsWith(`${title}`)),
      Array.from({ length: 20 }, (_, n) => `${title} ${n}`),
    );
  }
});
