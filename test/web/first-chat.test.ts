// A newcomer's first minutes: from an empty browser to a conversation, by what is seen and clicked.
import type { Page } from 'playwright-core';
import t from 'tap';
import { composer, create, entry, message, openTab, say, world } from './kit.ts';

t.test('somebody registers, finds somebody, and they talk', async (t) => {
  const w = await world(t);
  const bob = await w.person('bob', 'Bob Stone');
  const his = await w.open(bob);
  await his.getByRole('heading', { name: 'No conversations yet' }).waitFor();

  const hers = await w.newcomer();
  await hers.getByRole('button', { name: 'Create an account' }).click();
  await hers.getByLabel('Username').fill('ann');
  await hers.getByLabel('Your name').fill('Ann Lee');
  await hers.getByLabel('Email').fill('ann@example.org');
  await hers.getByLabel('Password').fill('correct horse battery');
  await hers.getByRole('button', { name: 'Create account' }).click();

  await hers.getByRole('button', { name: 'New conversation' }).first().click();
  await hers.getByRole('textbox', { name: 'To' }).fill('bob');
  await hers.getByRole('button', { name: /Bob Stone/ }).click();
  await composer(hers).waitFor();
  await say(hers, 'Hello Bob');
  await hers.getByRole('img', { name: 'Delivered' }).waitFor();
  t.pass('sent, and come to where the other one is');

  await entry(his, 'Ann Lee').locator('.count').getByText('1 unread').waitFor();
  t.match(await his.title(), /^\(1\)/, 'the tab tells that something is unread');
  await entry(his, 'Ann Lee').click();
  await message(his, 'Hello Bob').waitFor();
  await hers.getByRole('img', { name: 'Read' }).waitFor();
  t.pass('who wrote sees that it was read');
  await entry(his, 'Ann Lee').locator('.count').waitFor({ state: 'detached' });

  await composer(his).pressSequentially('Hi');
  await hers.getByText('Bob Stone is typing …').waitFor();
  await composer(his).press('Enter');
  await message(hers, 'Hi').waitFor();
  await hers.locator('.typing-line').getByText('Bob Stone is typing …').waitFor({ state: 'detached' });
  t.pass('typing is seen, and ends with the message');

  // Of people one has only just met presence is told at their next change, or at one's own next connection.
  await hers.reload();
  await hers.locator('.conversation-head').getByText('Online').waitFor();
  await his.close();
  await hers
    .locator('.conversation-head')
    .getByText(/Last seen|Offline/)
    .waitFor();
  t.pass('presence is seen');
});

t.test('a message is edited, answered and deleted, for everybody', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const [hers, his] = [await w.open(ann), await w.open(bob)];
  await hers.getByRole('button', { name: 'New conversation' }).first().click();
  await hers.getByText('Group', { exact: true }).click();
  await hers.getByLabel('Title').fill('Hike');
  await hers.getByLabel('Add people').fill('bob');
  await hers.getByRole('button', { name: /Bob/ }).click();
  await hers.getByRole('button', { name: 'Create group' }).click();
  await say(hers, 'On Sunday');
  await entry(his, 'Hike').click();
  await message(his, 'On Sunday').waitFor();

  await composer(hers).press('ArrowUp');
  await hers.getByLabel('Edit message').fill('On Saturday');
  await hers.getByLabel('Edit message').press('Enter');
  await message(his, 'On Saturday (edited)').waitFor();
  t.pass('edited');

  await message(his, 'On Saturday').hover();
  await his.getByRole('button', { name: 'Reply' }).click();
  await say(his, 'Fine');
  await message(hers, 'Fine')
    .getByRole('button', { name: /Ann.*On Saturday/ })
    .waitFor();
  t.pass('answered');

  await message(hers, 'On Saturday (edited)').hover();
  await hers.getByRole('button', { name: 'Delete' }).click();
  await hers.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await message(his, 'This message was deleted.').waitFor();
  await message(his, 'Fine')
    .getByRole('button', { name: /Deleted message/ })
    .waitFor();
  t.pass('deleted');
});

t.test('what is wrong with a registration is said where it can be mended', async (t) => {
  const w = await world(t);
  await w.person('ann');
  const page = await w.newcomer();
  await page.getByLabel('Username or email').fill('ann');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('The name or the password is not right.').waitFor();

  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByRole('button', { name: 'Create account' }).click();
  t.equal(await page.locator('[aria-invalid="true"]').count(), 3);
  t.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'username', 'the first is at hand');
  await page.getByLabel('Username').fill('Ann');
  await page.getByLabel('Email').fill('other@example.org');
  await page.getByLabel('Password').fill('correct horse battery');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByText('This username is taken.').waitFor();
  t.equal(await page.getByLabel('Username').getAttribute('aria-invalid'), 'true');
});

t.test('a room is made, found by others, entered and left', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const [hers, his] = [await w.open(ann), await w.open(bob)];
  await hers.getByRole('button', { name: 'New conversation' }).first().click();
  await hers.getByText('Room', { exact: true }).click();
  await hers.getByLabel('Title').fill('lobby');
  await hers.getByRole('button', { name: 'Create room' }).click();
  await say(hers, 'Welcome');

  await his.getByRole('button', { name: 'Browse rooms' }).first().click();
  await his.getByRole('button', { name: 'Join lobby' }).click();
  await message(his, 'Welcome').waitFor();
  await hers.getByText('2 members').waitFor();
  t.pass('entered');

  await his.getByRole('button', { name: 'Members and settings' }).click();
  await his.getByRole('button', { name: 'Leave' }).click();
  await his.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
  await entry(his, 'lobby').waitFor({ state: 'detached' });
  await hers.getByText('1 member').waitFor();
  t.pass('left');

  await his.goto(`${w.site.url}${new URL(hers.url()).pathname}`);
  await his.getByRole('heading', { name: 'A room you are not in' }).waitFor();
  await his.getByRole('button', { name: 'Join' }).click();
  await message(his, 'Welcome').waitFor();
  t.pass('an address leads to a room, and in');
});

t.test('a text over the limit is counted and not sent; drafts are kept for each conversation', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  for (const title of ['one', 'two']) await create(w.site, ann, { kind: 'group', title, members: [bob.id] });
  const page = await w.open(ann);
  await entry(page, 'one').click();
  await composer(page).fill('😀'.repeat(4_001));
  await page.getByText('-1 letters left').waitFor();
  t.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await composer(page).press('Enter');
  await composer(page).fill('😀'.repeat(4_000));
  await page.getByText('0 letters left').waitFor();
  t.notOk(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await composer(page).fill('begun in one');
  await entry(page, 'two').click();
  await page.getByRole('textbox', { name: 'Message two' }).waitFor();
  t.equal(await composer(page).inputValue(), '');
  await entry(page, 'one').click();
  await page.getByRole('textbox', { name: 'Message one' }).waitFor();
  t.equal(await composer(page).inputValue(), 'begun in one');
  t.equal(await page.locator('.message').count(), 0, 'nothing was sent');
});

t.test('light or dark is chosen for all tabs, and kept', async (t) => {
  const w = await world(t);
  const context = await w.profileOf(await w.person('ann', 'Ann'), { colorScheme: 'light' });
  const [one, other] = [await openTab(context, w.site.url), await openTab(context, w.site.url)];
  const ground = (page: Page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground(one);
  await one.getByRole('button', { name: /Your account/ }).click();
  await one.getByRole('button', { name: 'Dark' }).click();
  t.not(await ground(one), light);
  await other.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light);
  await one.reload();
  t.not(await ground(one), light);
  await one.getByRole('button', { name: /Your account/ }).click();
  t.equal(await one.getByRole('button', { name: 'Dark' }).getAttribute('aria-pressed'), 'true');
  await one.getByRole('button', { name: 'Auto' }).click();
  t.equal(await ground(one), light);
});
