// Two people on two nodes of a cluster see one conversation, also while one of the nodes is killed and comes back.
import t from 'tap';
import { buildPage } from '../../ops/build-web.ts';
import { browser } from '../kit/browser.ts';
import { cluster } from '../kit/nodes.ts';
// What runs before this file looks for its name: these services are shared by all that mention test/kit/services.ts.
import { composer, create, entry, message, register, say, texts, World } from './kit.ts';

t.test('two browsers on two nodes talk', async (t) => {
  await buildPage();
  const [{ pair }, launched] = await Promise.all([cluster(t), browser(t)]);
  const [one, two] = pair;
  const w = new World(t, one, launched);
  const [ann, bob] = [await register(one, 'ann', 'Ann'), await register(two, 'bob', 'Bob')];
  const conv = await create(one, ann, { kind: 'group', title: 'Both', members: [bob.id] });
  const hers = await w.open(ann, { at: `/c/${conv}` });
  const his = await w.open(bob, { from: two.url });
  await entry(his, 'Both').click();
  for (const page of [hers, his]) await composer(page).waitFor();

  await say(hers, 'from one');
  await message(his, 'from one').waitFor();
  await hers.getByRole('img', { name: 'Read by Bob' }).waitFor();
  await composer(his).pressSequentially('from two');
  await hers.getByText('Bob is typing …').waitFor();
  await composer(his).press('Enter');
  await message(hers, 'from two').waitFor();
  await hers.locator('.conversation-head').getByText('2 online').waitFor();
  t.same(await texts(hers), ['from one', 'from two']);
  t.same(await texts(his), await texts(hers));

  await two.kill();
  await say(hers, 'while two is down');
  await his
    .getByRole('status')
    .getByText(/What you write is kept/)
    .waitFor();
  await two.start({ CHAT_PORT: new URL(his.url()).port });
  await message(his, 'while two is down').waitFor();
  await say(his, 'back');
  await message(hers, 'back').waitFor();
  t.same(await texts(his), ['from one', 'from two', 'while two is down', 'back']);
  t.same(await texts(his), await texts(hers));
});
