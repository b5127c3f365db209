// Every view as people see it, wide and narrow, light and dark: axe finds nothing serious, and nothing sticks out.
// `UPDATE_SCREENS=1` keeps the pictures in test/web/screens, to be looked at.
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { again, composer, create, entry, message, type Person, type World, world, write } from './kit.ts';

const SCREENS = join(import.meta.dirname, 'screens');
const MAX_SCREEN_BYTES = 200_000;
const IS_KEPT = process.env.UPDATE_SCREENS === '1';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
}

const WIDE = { width: 1440, height: 900 } as const;
const PHONE = { width: 390, height: 844 } as const;
const LOOKS: readonly Look[] = [
  { ...WIDE, scheme: 'light' },
  { ...WIDE, scheme: 'dark' },
  { ...PHONE, scheme: 'light' },
  { ...PHONE, scheme: 'dark' },
];

const options = ({ width, height, scheme }: Look) => ({
  viewport: { width, height },
  colorScheme: scheme,
  ...(width < 500 ? { hasTouch: true, isMobile: true } : {}),
});

/** What each picture is called, for those that are kept. */
const KEPT = new Set([
  'entrance wide light',
  'register phone dark',
  'conversation wide light',
  'conversation wide dark',
  'conversation phone light',
  'list phone dark',
  'members wide light',
  'new group wide dark',
  'rooms phone light',
  'empty wide light',
  'offline phone dark',
]);

async function inspect(t: Test, page: Page, look: Look, name: string): Promise<void> {
  const title = `${name} ${look.width > 500 ? 'wide' : 'phone'} ${look.scheme}`;
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: readonly Violation[] }> } };
    interface Violation {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
    }
    const { violations } = await axe.run();
    return violations.map(({ id, impact, nodes }) => ({
      id,
      impact,
      nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
    }));
  });
  t.same(found, [], `${title}: axe`);
  t.same(await sticksOut(page), [], `${title}: nothing sticks out`);
  const path = join(SCREENS, `${title.replaceAll(' ', '-')}.png`);
  if (IS_KEPT && KEPT.has(title)) await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  if (KEPT.has(title)) t.ok((await stat(path)).size < MAX_SCREEN_BYTES, `${title}: the picture is kept, and small`);
}

/** What one can use, or read, and is not wholly between the left and the right edge of the page. */
function sticksOut(page: Page): Promise<readonly string[]> {
  return page.locator('button, a, input, textarea, h1, h2, p, .message, .avatar').evaluateAll((all) =>
    all.flatMap((one) => {
      const { left, right, width } = one.getBoundingClientRect();
      return width > 1 && (left < 0 || right > innerWidth) ? [one.outerHTML.slice(0, 200)] : [];
    }),
  );
}

interface Scene {
  readonly ann: Person;
  readonly group: string;
  readonly direct: string;
}

/** Some people, and what they talk about. */
async function scene(w: World): Promise<Scene> {
  const ann = await w.person('ann', 'Ann Lee');
  const ben = await w.person('ben', 'Ben Okafor');
  const cleo = await w.person('cleo', 'Cleo Marchetti');
  const dina = await w.person('dina', 'دينا حداد');
  const long = await w.person('maximilian', 'Maximilian Alexander von Hohenstein-Wolfenbüttel the Third');
  const add = async (by: Person, conv: string, lines: readonly (readonly [Person, string, object?])[]) => {
    for (const [who, text, fields] of lines) await write(w.site, who, conv, text, fields);
    return by;
  };
  const direct = await create(w.site, ann, { kind: 'direct', members: [ben.id] });
  await add(ann, direct, [
    [ben, 'Can you look at the tickets?'],
    [ann, 'Later today'],
  ]);
  const other = await create(w.site, ann, { kind: 'direct', members: [long.id] });
  await add(ann, other, [
    [long, 'A rather long message that certainly does not fit into a single line of the list of conversations'],
  ]);
  const room = await create(w.site, cleo, {
    kind: 'room',
    title: 'announcements',
    topic: 'What is new, for everyone',
    public: true,
    members: [ann.id],
  });
  await add(cleo, room, [
    [cleo, 'The server moves to the new machine tonight.'],
    [cleo, 'It took four minutes. All done.'],
  ]);
  for (const [title, topic] of [
    ['kitchen', 'Recipes, and who does the dishes'],
    ['music', ''],
    ['a-room-with-a-name-that-is-much-longer-than-anybody-would-like-it-to-be', ''],
  ] as const) {
    await create(w.site, cleo, { kind: 'room', title, public: true, ...(topic === '' ? {} : { topic }) });
  }
  const secret = await create(w.site, cleo, { kind: 'room', title: 'plans', public: false });
  await create(w.site, dina, { kind: 'direct', members: [ann.id] });
  const group = await create(w.site, ann, {
    kind: 'group',
    title: 'Saturday hike',
    members: [ben.id, cleo.id, dina.id, long.id],
  });
  await add(ann, group, [
    [cleo, 'I looked at the weather: dry until four, then maybe rain.'],
    [cleo, 'I can bring the small stove'],
    [ben, '👍'],
    [ben, 'And @ann has the map, right? The route is at https://example.org/routes/lake-and-ridge?stage=2'],
    [ann, 'I do! Printed it on both sides, and it is on my phone as well.', { reply: 5 }],
    [dina, 'صباح الخير! سأحضر الشاي والتمر للجميع.'],
    [long, 'Count me in. I am coming by train, so please tell me in time when we change the meeting point.'],
    [ann, 'Nine at the station:\n– boots\n– something warm\n– lunch'],
  ]);
  void secret;
  return { ann, group, direct };
}

t.test('the way in', async (t) => {
  const w = await world(t);
  for (const look of LOOKS) {
    const page = await w.newcomer(options(look));
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    await inspect(t, page, look, 'entrance');
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByText('This is not an email address.').waitFor();
    await inspect(t, page, look, 'register');
    await page.context().close();
  }
});

t.test('nothing there yet', async (t) => {
  const w = await world(t);
  const ann = await w.person('ann', 'Ann Lee');
  for (const look of LOOKS) {
    const page = await w.open(await again(w.site, ann), options(look));
    await page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
    await inspect(t, page, look, 'empty');
    await page.context().close();
  }
});

t.test('a conversation, the list, and what lies over them', async (t) => {
  const w = await world(t);
  const { ann, group } = await scene(w);
  for (const look of LOOKS) {
    const page = await w.open(await again(w.site, ann), options(look));
    await entry(page, 'Saturday hike').waitFor();
    await entry(page, 'announcements').locator('.preview').getByText('All done').waitFor();
    await inspect(t, page, look, 'list');
    await page.goto(`${w.site.url}/c/${group}`);
    await message(page, 'Nine at the station').waitFor();
    await page.getByText('5 members').waitFor();
    await message(page, 'Count me in').getByText('Maximilian').waitFor();
    await inspect(t, page, look, 'conversation');

    await message(page, 'And @ann').first().hover();
    await page.getByRole('button', { name: 'Reply', exact: true }).click();
    await composer(page).fill('x'.repeat(3_995));
    await inspect(t, page, look, 'long draft');
    await page.getByRole('button', { name: 'Do not reply' }).click();
    await composer(page).fill('');
    await page.getByRole('button', { name: 'Members and settings' }).click();
    await page.getByRole('list', { name: 'Members' }).getByText('Maximilian').waitFor();
    await inspect(t, page, look, 'members');
    await page.keyboard.press('Escape');
    await page.goto(w.site.url);
    await page.getByRole('button', { name: 'New conversation' }).first().click();
    await page.getByText('Group', { exact: true }).click();
    await page.getByLabel('Add people').fill('ben');
    await page.getByRole('button', { name: /Ben Okafor/ }).click();
    await page.getByLabel('Add people').fill('c');
    await page.getByRole('button', { name: /Cleo Marchetti/ }).waitFor();
    await inspect(t, page, look, 'new group');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Browse rooms' }).first().click();
    await page.getByRole('button', { name: 'Join kitchen' }).waitFor();
    await inspect(t, page, look, 'rooms');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /Your account/ }).click();
    await inspect(t, page, look, 'menu');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('a');
    await page.getByRole('option').first().waitFor();
    await inspect(t, page, look, 'switcher');
    await page.context().close();
  }
});

t.test('while the server is away', async (t) => {
  const w = await world(t);
  const { ann, direct } = await scene(w);
  const pages: (readonly [Look, Page])[] = [];
  for (const look of LOOKS) {
    const page = await w.open(await again(w.site, ann), { ...options(look), at: `/c/${direct}` });
    await message(page, 'Later today').waitFor();
    pages.push([look, page]);
  }
  await w.site.stop('SIGKILL');
  for (const [look, page] of pages) {
    await composer(page).fill('Written on the train');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText(/What you write is kept/).waitFor();
    await message(page, 'Written on the train').getByRole('img', { name: 'Not sent yet' }).waitFor();
    await inspect(t, page, look, 'offline');
  }
});
