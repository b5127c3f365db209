// A server in one's own network has no certificate: over plain HTTP a browser keeps some of itself back.
import t from 'tap';
import { composer, entry, message, openTab, say, world } from './kit.ts';

t.test('over plain HTTP one signs in, makes a group, and chats', async (t) => {
  const w = await world(t);
  const [ann] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const context = await w.profileOf(ann);
  // What an address that is neither https nor this machine lacks (https://w3c.github.io/webappsec-secure-contexts/).
  await context.addInitScript(() => {
    Reflect.deleteProperty(Crypto.prototype, 'randomUUID');
    for (const name of ['locks', 'clipboard', 'serviceWorker']) Reflect.deleteProperty(Navigator.prototype, name);
  });
  const page = await openTab(context, w.site.url);
  t.same(await page.evaluate(() => ['randomUUID' in crypto, 'locks' in navigator, 'clipboard' in navigator]), [
    false,
    false,
    false,
  ]);
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await page.getByText('Group', { exact: true }).click();
  await page.getByLabel('Title').fill('Ours');
  await page.getByLabel('Add people').fill('bob');
  await page.getByRole('button', { name: /Bob/ }).click();
  await page.getByRole('button', { name: 'Create group' }).click();
  await composer(page).waitFor();
  await say(page, 'hello');
  await message(page, 'hello').getByRole('img', { name: 'Sent' }).waitFor();
  await page.reload();
  await message(page, 'hello').waitFor();
  t.equal(await entry(page, 'Ours').count(), 1);
});
