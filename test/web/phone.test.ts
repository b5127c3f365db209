// Where one types with a finger, and where there is little room.
import t from 'tap';
import { composer, create, message, say, world, write } from './kit.ts';

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const;

t.test('on a phone Enter makes a line, in a new message and in an old one', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const conv = await create(w.site, ann, { kind: 'group', title: 'Ours' });
  const page = await w.open(ann, { ...PHONE, at: `/c/${conv}` });
  await composer(page).fill('one');
  await composer(page).press('Enter');
  await page.keyboard.type('two');
  await page.getByRole('button', { name: 'Send' }).click();
  await message(page, 'one\ntwo').getByRole('img', { name: 'Sent' }).waitFor();
  await message(page, 'two').tap();
  await page.getByRole('button', { name: 'Edit' }).tap();
  const editor = page.getByRole('textbox', { name: 'Edit message' });
  await editor.press('Enter');
  await page.keyboard.type('three');
  t.equal(await editor.inputValue(), 'one\ntwo\nthree');
  t.equal(await page.getByText('Enter saves').count(), 0, 'and no key is named that it does not have');
  await page.getByRole('button', { name: 'Save' }).tap();
  await message(page, 'three').getByText('(edited)').waitFor();
});

t.test('the time beside a message keeps to its column, with twelve hours too', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const conv = await create(w.site, ann, { kind: 'group', title: 'Ours' });
  for (const text of ['one', 'two']) await write(w.site, ann, conv, text);
  // Two digits of the hour are as long as it gets: ten or eleven, wherever now is. There is no zone 13 hours behind.
  const hour = new Date().getUTCHours();
  const behind = hour >= 22 ? 0 : hour - 10;
  const timezoneId = `Etc/GMT${behind >= 0 ? '+' : '-'}${Math.abs(behind)}`;
  const page = await w.open(ann, { at: `/c/${conv}`, locale: 'en-US', timezoneId });
  await message(page, 'two').hover();
  const [width, needed] = await page
    .locator('.gutter')
    .evaluate((time) => [time.clientWidth, time.scrollWidth] as const);
  t.ok(needed <= width, `${needed} of ${width}`);
  await say(page, 'three');
});
