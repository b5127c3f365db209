// Names and texts that want to be something else: all of them are shown as text, in their own place.
import t from 'tap';
import { create, entry, message, messages, world, write } from './kit.ts';

const MARKUP = `<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><b>bold</b> &amp; "quotes'`;
const RTL = 'مرحبا \u202Egnp.exe\u202C שלום';
const STACKED = `Z${'\u0351\u0352\u0353'.repeat(60)}algo`;

t.test('markup, right-to-left, stacked marks and 4,000 emoji are text', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann');
  const eve = await w.person('eve', '<img src=x onerror=alert(1)>\u202Eevil');
  const conv = await create(w.site, eve, {
    kind: 'room',
    title: '<script>alert(1)</script> ‮title',
    topic: '<b>topic</b>',
    public: true,
    members: [ann.id],
  });
  const emoji = '😀'.repeat(4_000);
  const long = 'x'.repeat(4_000);
  const sent = [
    MARKUP,
    RTL,
    STACKED,
    emoji,
    long,
    'javascript:alert(1) data:text/html,<script>1</script>',
    '\n\n  \t.',
  ];
  for (const text of sent) await write(w.site, eve, conv, text);
  const page = await w.open(ann);
  await entry(page, '<script>alert(1)</script> ‮title').click();
  await messages(page)
    .nth(sent.length - 1)
    .waitFor();

  const shown = await page.locator('.message .text').evaluateAll((all) => all.map((one) => one.textContent));
  t.same(shown, sent, 'every text is there to the letter');
  t.equal(await page.evaluate(() => 'hacked' in window), false, 'nothing has run');
  t.equal(await page.locator('main .by .name').first().textContent(), '<img src=x onerror=alert(1)>\u202Eevil');
  t.equal(await page.locator('.message img, .message script, .message .text b').count(), 0);
  t.equal(await page.locator('.message a').count(), 0, 'only web addresses are links');

  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  t.equal(widths[0], widths[1], 'nothing is wider than the page');
  const inside = await page.locator('.message').evaluateAll((rows) =>
    rows.every((row) => {
      const [one, other] = [row.getBoundingClientRect(), row.querySelector('.text')?.getBoundingClientRect()];
      return other !== undefined && other.left >= one.left && other.right <= one.right + 1;
    }),
  );
  t.ok(inside, 'each stays in its row');
});

t.test('an address in a text is a link that tells the other side nothing', async (t) => {
  const w = await world(t);
  const [ann, bob] = [await w.person('ann', 'Ann'), await w.person('bob', 'Bob')];
  const conv = await create(w.site, ann, { kind: 'direct', members: [bob.id] });
  await write(w.site, ann, conv, 'See https://example.org/a_(b)?c=1&d="x", or http://example.org.');
  const page = await w.open(bob, { at: `/c/${conv}` });
  await message(page, 'See').waitFor();
  const links = page.locator('.message a');
  t.same(await links.evaluateAll((all) => all.map((one) => one.getAttribute('href'))), [
    'https://example.org/a_(b)?c=1&d=',
    'http://example.org',
  ]);
  t.match(await links.first().getAttribute('rel'), /noopener noreferrer/);
  t.equal(await links.first().getAttribute('target'), '_blank');
});
