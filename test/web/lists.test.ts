// Long histories and many conversations: pages come and go while one scrolls, and what one reads stays where it is.

import type { Page } from 'playwright-core';
import t from 'tap';
import {
  composer,
  create,
  entry,
  message,
  messages,
  openTab,
  type Person,
  say,
  type World,
  world,
  write,
} from './kit.ts';

const HISTORY = 1_000;

async function filled(w: World, by: Person, conv: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += 50) {
    const batch = Array.from({ length: Math.min(50, count - done) }, (_, at) => done + at + 1);
    // One after the other: their order is what is looked at.
    for (const number of batch) await write(w.site, by, conv, `message ${number}`);
  }
}

const scroll = (page: Page, to: 'start' | 'end') =>
  page.locator('.scroll').evaluate((box, where) => {
    box.scrollTop = where === 'start' ? 0 : box.scrollHeight;
  }, to);

/** Of what is held: the first and the last message. */
async function held(page: Page): Promise<readonly [first: number, last: number, count: number]> {
  const numbers = await page
    .locator('.message .text')
    .evaluateAll((all) => all.map((one) => Number(one.textContent?.split(' ')[1])));
  return [numbers[0] ?? 0, numbers.at(-1) ?? 0, numbers.length];
}

t.test('a long history is paged both ways, a part of it is held, and nothing jumps', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  await filled(w, bob, conv, HISTORY);
  const page = await w.open(ann, { at: `/c/${conv}` });
  await message(page, `message ${HISTORY}`).waitFor();
  await page.getByText('New', { exact: true }).or(messages(page).first()).first().waitFor();

  // All the way up: each time the start is reached, the next page comes before it.
  let most = 0;
  for (;;) {
    const [first, , count] = await held(page);
    most = Math.max(most, count);
    if (first === 1) break;
    await scroll(page, 'start');
    await page.waitForFunction((before) => {
      const text = document.querySelector('.message .text')?.textContent ?? '';
      return Number(text.split(' ')[1]) < before;
    }, first);
  }
  t.ok(most < 400, `held at most: ${most}`);
  await page.getByText('This is the beginning of your conversation.').waitFor();

  // A page that comes before what one reads does not move it.
  const [first, last] = await held(page);
  t.equal(first, 1);
  t.ok(last < HISTORY, 'the far end was let go');
  await scroll(page, 'end');
  await page.waitForFunction((before) => {
    const text = [...document.querySelectorAll('.message .text')].at(-1)?.textContent ?? '';
    return Number(text.split(' ')[1]) > before;
  }, last);
  t.pass('newer pages come below');
  const belowPx = await page
    .locator('.scroll')
    .evaluate((scrolled) => scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight);
  t.ok(belowPx > 500, `and leave one where one is, ${belowPx} px above the end of what is held`);

  await page.getByRole('button', { name: /Newest|new message/ }).click();
  await message(page, `message ${HISTORY}`).waitFor();
  await page.waitForFunction(() => {
    const box = document.querySelector('.scroll');
    return box !== null && box.scrollHeight - box.scrollTop - box.clientHeight < 2;
  });
  t.pass('and one click leads to the newest');
});

t.test('what one reads stays in its place when pages load and messages come', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  await filled(w, ann, conv, 200);
  const page = await w.open(ann, { at: `/c/${conv}` });
  await message(page, 'message 200').waitFor();
  const place = (text: string) =>
    message(page, text)
      .first()
      .evaluate((row) => row.getBoundingClientRect().top);

  // So near to the start of what is held that a page is asked for; what is seen is noted in the same moment.
  const seen = await page.locator('.scroll').evaluate((box) => {
    box.scrollTop = 300;
    const rows = [...document.querySelectorAll<HTMLElement>('.message')];
    const text = (row: HTMLElement | undefined) => row?.querySelector('.text')?.textContent ?? '';
    const row = rows.find((one) => one.getBoundingClientRect().top > 200);
    return { text: text(row), top: row?.getBoundingClientRect().top ?? 0, first: text(rows[0]) };
  });
  await page.waitForFunction((before) => document.querySelector('.message .text')?.textContent !== before, seen.first);
  t.ok(Math.abs((await place(seen.text)) - seen.top) < 2, 'a page that loads above does not move it');

  const before = await place(seen.text);
  await write(w.site, bob, conv, 'something new');
  await page.getByRole('button', { name: '1 new message' }).waitFor();
  t.ok(Math.abs((await place(seen.text)) - before) < 2, 'a message that comes below does not either');
  await page.getByRole('button', { name: '1 new message' }).click();
  await message(page, 'something new').waitFor();
  await entry(page, 'Bob').locator('.count').waitFor({ state: 'detached' });
  await write(w.site, bob, conv, 'and more');
  await message(page, 'and more').waitFor();
  await page.waitForFunction(() => {
    const box = document.querySelector('.scroll');
    return box !== null && box.scrollHeight - box.scrollTop - box.clientHeight < 2;
  });
  t.pass('at the end one stays at the end');
});

t.test('an answer leads to the message it answers, however far back', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  await filled(w, ann, conv, 300);
  await write(w.site, bob, conv, 'about that', { reply: 6 });
  const page = await w.open(ann, { at: `/c/${conv}` });
  await message(page, 'about that')
    .getByRole('button', { name: /earlier message/ })
    .click();
  await message(page, 'message 5').first().waitFor();
  await page.waitForFunction(() => document.activeElement?.querySelector('.text')?.textContent === 'message 5');
  t.pass('it is in sight, and has the focus');
  await say(page, 'back to now');
  await message(page, 'back to now').waitFor();
  await message(page, 'about that').waitFor();
  t.pass('writing leads back to the newest');
});

t.test('one is led to where the unread begin', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  await filled(w, ann, conv, 10);
  await filled(w, bob, conv, 45);
  const page = await w.open(ann);
  await entry(page, 'Bob').locator('.count').getByText('45').waitFor();
  await entry(page, 'Bob').click();
  const divider = page.locator('.divider');
  await divider.waitFor();
  const [top, height] = await divider.evaluate((line) => [line.getBoundingClientRect().top, innerHeight]);
  t.ok(top !== undefined && height !== undefined && top > 0 && top < height / 2, 'the first of them is in sight');
  await page.waitForFunction(() => {
    const count = document.querySelector('.conversation-row .count')?.firstChild?.textContent;
    return count !== undefined && Number(count) > 0 && Number(count) < 45;
  });
  t.pass('what is seen is read, and no more');
  await scroll(page, 'end');
  await entry(page, 'Bob').locator('.count').waitFor({ state: 'detached' });
  t.equal(await divider.count(), 1, 'the line stays while one reads');
});

t.test(
  'however much is unread, the line stands where it begins: at first sight, or when one has paged back to it',
  async (t) => {
    const w = await world(t);
    const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
    const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
    await filled(w, ann, conv, 100);
    await filled(w, bob, conv, 150);
    const page = await w.open(ann);
    await entry(page, 'Bob').click();
    const divider = page.locator('.divider');
    await divider.waitFor();
    const isInSight = () =>
      divider.evaluate(
        (line) => line.getBoundingClientRect().top > 0 && line.getBoundingClientRect().top < innerHeight,
      );
    t.ok(await isInSight(), 'of some hundred one sees the first');
    await page.goto('about:blank');
    await filled(w, bob, conv, 300);
    const later = await openTab(page.context(), `${w.site.url}/c/${conv}`);
    await message(later, 'message 300').waitFor();
    const line = later.locator('.divider');
    for (;;) {
      const [first, , count] = await held(later);
      if ((await line.count()) > 0) break;
      t.ok(count > 0);
      await scroll(later, 'start');
      await later.waitForFunction(
        (before) =>
          document.querySelector('.divider') !== null ||
          document.querySelector('.message .text')?.textContent !== `message ${before}`,
        first,
      );
    }
    const texts = await line.evaluate((one) =>
      [one.previousElementSibling, one.nextElementSibling].map((row) => row?.querySelector('.text')?.textContent),
    );
    const [before, after] = texts.map((text) => Number(text?.split(' ')[1]));
    t.equal(after, (before ?? 0) + 1, 'of more, between the last that was read and the next');
  },
);

t.test('500 conversations are a list as any other', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const convs: string[] = [];
  for (let number = 1; number <= 500; number++) {
    convs.push(await create(w.site, ann, { kind: 'group', title: `group ${number}` }));
  }
  const page = await w.open(ann);
  await page.waitForFunction(() => document.querySelectorAll('.conversation-row').length === 500);
  const top = () => page.locator('.conversation-row .title').first().textContent();
  await write(w.site, ann, convs[250] ?? '', 'up');
  await page.waitForFunction(() => document.querySelector('.conversation-row .title')?.textContent === 'group 251');
  t.equal(await top(), 'group 251', 'the latest active is the first');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('group 499');
  await page.keyboard.press('Enter');
  await composer(page).waitFor();
  t.equal(await entry(page, 'group 499').getAttribute('aria-current'), 'page');
});
