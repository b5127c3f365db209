// Section 2 of the protocol, up to `ready`: who speaks first, what each side says, and who is not let in.
import t from 'tap';
import { server } from '../kit/index.ts';

t.test('a connection opens as the protocol page says, field by field', async (t) => {
  const s = await server(t, { env: { CHAT_MESSAGE_RATE: '10', CHAT_MESSAGE_BURST: '20' } });
  const account = await s.account('ann');
  const ann = s.connection(account);
  const welcome = await ann.next('welcome');
  const limits = { frame: 65_536, text: 4_000, rate: 10, burst: 20, auth: 10_000 };
  t.same(welcome, { t: 'welcome', v: 1, now: welcome.now, heartbeat: 25_000, limits });
  t.ok(Math.abs(welcome.now - Date.now()) < 60_000);
  t.equal(ann.ws.protocol, 'chatterbox.v1');
  const ready = await ann.ask('ready', { t: 'hello', id: 'hello-one', token: account.access, device: 'a phone' });
  const user = { id: account.id, name: 'ann' };
  const { session, epoch } = ready;
  t.same(ready, { t: 'ready', id: 'hello-one', user, session, epoch, convs: [], more: false });
  t.match(session, /^[A-Za-z0-9_-]{1,40}$/);
  t.ok(epoch.length > 0);
});

t.test('a subprotocol is selected when it is offered, and may be left out', async (t) => {
  const s = await server(t);
  const account = await s.account('ann');
  const plain = s.connection(account, { protocols: [] } as object);
  await plain.opened();
  const ready = await plain.ask('ready', { t: 'hello', token: account.access });
  t.equal(ready.user.id, account.id);
});

t.test('hello may be sent before welcome has been read', async (t) => {
  const s = await server(t);
  const account = await s.account('ann');
  const eager = s.connection(account);
  eager.ws.once('open', () => eager.signal({ t: 'hello', id: 'eager-hello', token: account.access }));
  await eager.next('welcome');
  await eager.fault.count;
});

t.test('a ready names the conversations, latest active first, with the numbers a list needs', async (t) => {
  const s = await server(t);
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob], { title: 'Plans' });
  const direct = await ann.direct(bob);
  await ann.send(group, 'one');
  const two = await ann.send(group, 'two');
  await bob.next('message', { seq: two.seq });
  await bob.read(group, 1);
  const again = await bob.device();
  t.same(again.ready.convs, [
    { conv: group, kind: 'group', title: 'Plans', seq: 3, n: 2, read: 1, role: 'member' },
    { conv: direct, kind: 'direct', seq: 1, n: 0, read: 0, role: 'member', peer: ann.id },
  ]);
  t.match((await ann.device()).ready.convs[0], { conv: group, n: 2, read: 2, role: 'owner' }, 'sending is reading');
});

t.test('of two hellos at once one is refused, and the connection with it', async (t) => {
  const s = await server(t);
  const account = await s.account('ann');
  const ann = await s.connection(account).opened();
  const second = ann.refused({ t: 'hello', id: 'hello-two', token: account.access });
  ann.signal({ t: 'hello', id: 'hello-three', token: account.access });
  t.match(await ann.ended(), { code: 4501 });
  await second.catch(() => {});
});
