// Connections that end and come back under the page: what was written meanwhile is there, once, in order.
import t from 'tap';
import { freePort } from '../../ops/service/launch.ts';
import { tcpProxy } from '../kit/tcp-proxy.ts';
import { again, ask, composer, create, entry, message, openTab, say, texts, world, write } from './kit.ts';

t.test('what one writes without a network is sent when it is back: all, once, in order', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  const network = await tcpProxy(t, Number(new URL(w.site.url).port));
  const hers = await w.open(ann, { from: `http://127.0.0.1:${network.port}`, at: `/c/${conv}` });
  const his = await w.open(bob, { at: `/c/${conv}` });
  await say(hers, 'before');
  await message(his, 'before').waitFor();

  network.cut();
  await hers.context().setOffline(true);
  await hers
    .getByRole('status')
    .getByText(/What you write is kept/)
    .waitFor();
  for (const text of ['one', 'two', 'three']) await say(hers, text);
  t.equal(await hers.getByRole('img', { name: 'Not sent yet' }).count(), 3);
  await say(his, 'meanwhile');

  network.reset();
  network.heal();
  await hers.context().setOffline(false);
  await message(his, 'three').waitFor();
  await message(hers, 'meanwhile').waitFor();
  await hers
    .getByRole('status')
    .getByText(/What you write is kept/)
    .waitFor({ state: 'detached' });
  await hers.getByRole('img', { name: 'Not sent yet' }).first().waitFor({ state: 'detached' });
  t.same(await texts(his), ['before', 'meanwhile', 'one', 'two', 'three']);
  t.same(await texts(hers), await texts(his), 'both see the same');
});

t.test('the server is killed and started again under the page, and nothing shows of it but a word', async (t) => {
  const w = await world(t, { env: { CHAT_PORT: `${await freePort()}` } });
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  const [hers, his] = [await w.open(ann, { at: `/c/${conv}` }), await w.open(bob, { at: `/c/${conv}` })];
  for (const page of [hers, his]) await composer(page).waitFor();
  await say(hers, 'before');
  await message(his, 'before').waitFor();

  await w.site.stop('SIGKILL');
  await his
    .getByRole('status')
    .getByText(/What you write is kept/)
    .waitFor();
  await say(his, 'into the void');
  await w.site.restart();
  await message(hers, 'into the void').waitFor();
  await say(hers, 'after');
  await message(his, 'after').waitFor();
  await his
    .getByRole('status')
    .getByText(/What you write is kept/)
    .waitFor({ state: 'detached' });
  t.same(await texts(hers), ['before', 'into the void', 'after']);
  t.same(await texts(his), await texts(hers));
});

t.test('what was not sent outlives the page', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  const network = await tcpProxy(t, Number(new URL(w.site.url).port));
  const hers = await w.open(ann, { from: `http://127.0.0.1:${network.port}`, at: `/c/${conv}` });
  await say(hers, 'before');
  await hers.getByRole('img', { name: 'Sent' }).waitFor();
  network.cut();
  await say(hers, 'kept');
  await composer(hers).fill('a draft');
  await hers.close();
  network.reset();
  network.heal();
  const later = await openTab(hers.context(), hers.url());
  await later.getByRole('img', { name: 'Sent' }).nth(1).waitFor();
  t.same(await texts(later), ['before', 'kept']);
  t.equal(await composer(later).inputValue(), 'a draft');
});

t.test('two tabs of one user agree on what is unread, and sign out together', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  const context = await w.profileOf(ann);
  const [one, other] = [await openTab(context, w.site.url), await openTab(context, w.site.url)];
  for (const page of [one, other]) await entry(page, 'Bob').waitFor();
  await write(w.site, bob, conv, 'first');
  await write(w.site, bob, conv, 'second');
  for (const page of [one, other]) await entry(page, 'Bob').locator('.count').getByText('2').waitFor();
  await entry(one, 'Bob').click();
  for (const page of [one, other]) await entry(page, 'Bob').locator('.count').waitFor({ state: 'detached' });
  t.pass('read in one is read in the other');

  const elsewhere = await w.open(await again(w.site, ann), { at: `/c/${conv}` });
  await message(elsewhere, 'second').waitFor();
  await one.getByRole('button', { name: /Your account/ }).click();
  await one.getByRole('button', { name: 'Sign out' }).click();
  for (const page of [one, other]) await page.getByRole('button', { name: 'Sign in' }).waitFor();
  t.pass('signed out in both');
  t.equal(await one.evaluate(() => localStorage.getItem('chatterbox')), null, 'and nothing is kept');
  await say(elsewhere, 'still here');
  t.pass('another login stays');
});

t.test('a login that ends elsewhere ends here, and says so', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const page = await w.open(ann);
  await page.getByText('No conversations yet').first().waitFor();
  await ask(w.site, 'POST', 'auth/logout', undefined, ann);
  await page.getByRole('status').getByText('You were signed out.').waitFor();
  t.equal(await page.evaluate(() => localStorage.getItem('chatterbox')), null);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
});

t.test('who is removed while away is told what became of what they wrote', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'group', title: 'Ours', members: [bob.id] });
  const network = await tcpProxy(t, Number(new URL(w.site.url).port));
  const his = await w.open(bob, { from: `http://127.0.0.1:${network.port}`, at: `/c/${conv}` });
  await say(his, 'before');
  await his.getByRole('img', { name: 'Sent' }).waitFor();
  network.cut();
  await say(his, 'too late');
  await ask(w.site, 'DELETE', `conversations/${conv}/members/${bob.id}`, undefined, ann);
  network.reset();
  network.heal();
  await his
    .getByRole('status')
    .getByText(/A message was not sent/)
    .waitFor();
  await his.getByRole('heading', { name: 'Nothing to see here' }).waitFor();
  await entry(his, 'Ours').waitFor({ state: 'detached' });
  const { items } = await ask<{ items: { text: string }[] }>(
    w.site,
    'GET',
    `conversations/${conv}/messages`,
    undefined,
    ann,
  );
  t.same(
    items.map(({ text }) => text),
    ['before'],
  );
});
