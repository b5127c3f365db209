// Without a mouse: everything is reached, the focus is always somewhere one can see, and screen readers are told.

import type { Page } from 'playwright-core';
import t from 'tap';
import { composer, create, entry, message, say, world, write } from './kit.ts';

/** Presses Tab until this is focused. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab');
    const isThere = await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector);
    if (isThere) return;
  }
  throw new Error(`the Tab key does not lead to ${selector}`);
}

const focused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return {
      tag: element.tagName,
      text: element.textContent,
      hasOutline: outlineStyle !== 'none' && outlineWidth !== '0px',
    };
  });

t.test('from the sign-in to a sent message by keyboard alone', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  await create(w.site, ann, { kind: 'group', title: 'Old', members: [bob.id] });
  const page = await w.newcomer();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await tabTo(page, '[name=login]');
  await page.keyboard.type('ann');
  await tabTo(page, '[name=password]');
  t.ok((await focused(page)).hasOutline, 'the focus is seen');
  await page.keyboard.type('correct horse battery');
  await page.keyboard.press('Enter');

  await entry(page, 'Old').waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('bo');
  await page.getByRole('option', { name: /Bob/ }).waitFor();
  await page.keyboard.press('Enter');
  await composer(page).waitFor();
  await page.waitForFunction(() => document.activeElement?.matches('.composer textarea'));
  await page.keyboard.type('By hand');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two lines');
  await page.keyboard.press('Enter');
  await message(page, 'By hand').waitFor();
  t.equal(await message(page, 'By hand').locator('.text').textContent(), 'By hand\ntwo lines');
});

t.test('arrows walk through lists, and one Tab leaves them', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const convs: string[] = [];
  for (const title of ['three', 'two', 'one']) {
    convs.push(await create(w.site, ann, { kind: 'group', title }));
    await write(w.site, ann, convs.at(-1) ?? '', `in ${title}`);
  }
  const page = await w.open(ann);
  await entry(page, 'one').waitFor();
  await tabTo(page, '.conversation-row');
  t.match((await focused(page)).text, /^one/);
  await page.keyboard.press('ArrowDown');
  t.match((await focused(page)).text, /^two/);
  await page.keyboard.press('End');
  t.match((await focused(page)).text, /^three/);
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await message(page, 'in two').waitFor();
  await page.keyboard.press('Alt+ArrowDown');
  await message(page, 'in three').waitFor();
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('Alt+ArrowUp');
  await message(page, 'in one').waitFor();
  t.match(new URL(page.url()).pathname, convs[2] ?? '');
});

t.test('messages are walked through, answered, changed and deleted by keys', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  for (const text of ['one', 'two', 'three']) await write(w.site, ann, conv, text);
  const page = await w.open(ann, { at: `/c/${conv}` });
  await message(page, 'three').waitFor();
  await page.keyboard.press('Shift+Tab');
  const walk = async (key: string) => {
    await page.keyboard.press(key);
    return (await focused(page)).text;
  };
  t.match((await focused(page)).text, 'three');
  t.match(await walk('ArrowUp'), 'two');
  t.match(await walk('Home'), 'one');
  t.match(await walk('ArrowDown'), 'two');
  await page.keyboard.press('r');
  await page.waitForFunction(() => document.activeElement?.matches('.composer textarea'));
  await page.keyboard.type('an answer');
  await page.keyboard.press('Enter');
  await message(page, 'an answer').locator('.quote').getByText('two').waitFor();

  await message(page, 'one').focus();
  await page.keyboard.press('e');
  await page.waitForFunction(() => document.activeElement?.matches('.editor textarea'));
  await page.keyboard.type(' more');
  await page.keyboard.press('Enter');
  await message(page, 'one more (edited)').waitFor();
  await page.waitForFunction(() => document.activeElement?.matches('.composer textarea'));

  await message(page, 'three').focus();
  await page.keyboard.press('Delete');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  t.equal(await message(page, 'three').count(), 1, 'Esc is no');
});

t.test('what others write is said to who cannot see it', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  const [hers, his] = [await w.open(ann, { at: `/c/${conv}` }), await w.open(bob, { at: `/c/${conv}` })];
  await composer(hers).waitFor();
  await say(his, 'listen');
  await hers.locator('[aria-live=polite]').getByText('Bob: listen').waitFor({ state: 'attached' });
  t.pass('said');
});
