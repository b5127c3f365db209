// Who comes and goes is told where one reads.
import t from 'tap';
import { ask, create, message, say, texts, world, write } from './kit.ts';

t.test('who is added, made something else, leaves or is removed is told between the messages', async (t) => {
  const w = await world(t);
  const [ann, bob, cleo] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob'), await w.person('cleo', 'Cleo')];
  const conv = await create(w.site, ann, { kind: 'group', title: 'Ours', members: [bob.id] });
  await write(w.site, ann, conv, 'before');
  const hers = await w.open(ann, { at: `/c/${conv}` });
  const his = await w.open(bob, { at: `/c/${conv}` });
  for (const page of [hers, his]) await message(page, 'before').waitFor();
  const members = `conversations/${conv}/members`;
  await ask(w.site, 'POST', members, { users: [cleo.id] }, ann);
  await hers.getByText('You added Cleo').waitFor();
  await his.getByText('Ann added Cleo').waitFor();
  await say(hers, 'welcome');
  await message(his, 'welcome').waitFor();
  await ask(w.site, 'PATCH', `${members}/${cleo.id}`, { role: 'moderator' }, ann);
  await ask(w.site, 'DELETE', `${members}/${cleo.id}`, undefined, cleo);
  await his.getByText('Cleo left').waitFor();
  t.same(
    await his.locator('.note, .message .text').allInnerTexts(),
    ['before', 'Ann added Cleo', 'welcome', 'Ann made Cleo a moderator', 'Cleo left'],
    'in the order in which it happened',
  );
  t.equal(await his.locator('.messages [tabindex="0"]').count(), 1, 'and the keyboard still has a way in');
  await his.reload();
  await message(his, 'welcome').waitFor();
  t.same(await texts(his), ['before', 'welcome']);
  t.equal(await his.locator('.note').count(), 0, 'what was not told is not made up');
});

t.test('who cannot leave is told so once, in words that say what did not happen', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const conv = await create(w.site, ann, { kind: 'group', title: 'Ours' });
  const page = await w.open(ann, { at: `/c/${conv}` });
  await page.getByRole('button', { name: 'Members and settings' }).click();
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
  const toast = page.locator('.toast');
  await toast.waitFor();
  t.match(await toast.textContent(), /^You could not leave: .*last owner/);
  const [above, below] = await Promise.all([toast.boundingBox(), page.locator('.composer').boundingBox()]);
  t.ok(above && below && above.y + above.height <= below.y, 'and it does not lie over what one writes');
});
