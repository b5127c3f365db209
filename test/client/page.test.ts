// The client in a real browser: what is written in a page that goes away is sent by the next one, and by no two at once.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import t from 'tap';
import { build, type Rolldown } from 'vite';
import { browser, profile } from '../kit/browser.ts';
import { eventually, type Server, server } from '../kit/index.ts';

const ROOT = join(import.meta.dirname, '../..');

t.setTimeout(300_000);

/** A script for a page, from source. */
async function bundled(source: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chatterbox-page-'));
  try {
    const input = join(folder, 'page.ts');
    await writeFile(input, source);
    const built = await build({
      configFile: false,
      logLevel: 'silent',
      resolve: {
        alias: [
          { find: /^chatterbox-client$/, replacement: join(ROOT, 'src/client/index.ts') },
          { find: /^chatterbox-client\/(.*)$/, replacement: join(ROOT, 'src/client/$1.ts') },
        ],
      },
      build: { write: false, modulePreload: false, target: 'es2023', rolldownOptions: { input } },
    });
    return (built as Rolldown.RolldownOutput).output[0].code;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A page with a script, from the server itself: what a test answers in its place may not connect to this machine. */
async function open(context: BrowserContext, s: Server, script: string): Promise<Page> {
  const page = await context.newPage();
  await page.addInitScript(`(async () => {${script}\n})()`);
  await page.goto(`${s.url}/health`);
  return page;
}

/** Signs in once, then only uses what is kept; `blocked` tabs get no connection. */
const TAB = `
import { connect } from 'chatterbox-client';
import { localKeep, Session } from 'chatterbox-client/http';
import { browserOutbox } from 'chatterbox-client/outbox-idb';
const session = new Session({ url: location.origin, keep: localKeep('chatterbox') });
if (session.user === null) await session.signIn('ann', 'correct horse battery');
function begin() {
  const isBlocked = localStorage.getItem('blocked') === 'yes';
  const chat = connect({
    url: isBlocked ? 'ws://127.0.0.1:1/ws' : session.socketUrl,
    token: session.token,
    outbox: browserOutbox('chatterbox ' + session.user.id),
  });
  Object.assign(globalThis, { chat });
}
begin();
Object.assign(globalThis, { begin });
`;

/** What the page's script gives the test. */
declare const chat: import('../../src/client/types.ts').Chat;
declare const begin: () => void;

async function write(page: Page, conv: string, texts: readonly string[]): Promise<void> {
  await page.waitForFunction(() => 'chat' in globalThis);
  await page.evaluate(
    ({ conv, texts }) => {
      for (const text of texts) chat.write({ t: 'message', conv, text });
    },
    { conv, texts },
  );
}

/** Everything written is on disk: another look at the database finds it. */
async function kept(page: Page, count: number): Promise<void> {
  await page.waitForFunction(`(async () => {
    const [{ name = '' } = {}] = await indexedDB.databases();
    const opened = indexedDB.open(name);
    await new Promise((resolve) => { opened.onsuccess = resolve; });
    const all = opened.result.transaction('entries').objectStore('entries').getAll();
    await new Promise((resolve) => { all.onsuccess = resolve; });
    opened.result.close();
    return all.result.length === ${count};
  })()`);
}

async function idle(page: Page): Promise<void> {
  await page.waitForFunction(() => 'chat' in globalThis && chat.state === 'online' && chat.sendings.length === 0);
}

t.test('in a browser', async (t) => {
  const [s, launched, script] = await Promise.all([server(t), browser(t), bundled(TAB)]);
  const ann = await s.client('ann');
  const texts = async (conv: string) => (await ann.allMessages(conv)).map(({ text }) => text);
  const block = (page: Page, blocked: string) =>
    page.evaluate((value) => localStorage.setItem('blocked', value), blocked);

  t.test('what was written without a connection is sent after a reload, once, in order', async (t) => {
    const conv = await ann.group([], { title: 'reload' });
    const context = await profile(t, launched, { bypassCSP: true });
    const page = await open(context, s, script);
    await idle(page);
    await block(page, 'yes');
    await page.reload();
    await write(page, conv, ['one', 'two', 'three']);
    await kept(page, 3);
    await page.reload();
    await page.waitForFunction(() => 'chat' in globalThis && chat.sendings.length === 3);
    await block(page, 'no');
    await page.reload();
    await idle(page);
    await page.reload();
    await idle(page);
    t.same(await texts(conv), ['one', 'two', 'three']);
  });

  t.test('a tab sends what a dead tab left, and not what a living one has', async (t) => {
    const conv = await ann.group([], { title: 'tabs' });
    const context = await profile(t, launched, { bypassCSP: true });
    const first = await open(context, s, script);
    await idle(first);
    await block(first, 'yes');
    const [living, dying] = [await open(context, s, script), await open(context, s, script)];
    await write(living, conv, ['of the living']);
    await write(dying, conv, ['of the dead', 'and more']);
    await kept(living, 3);
    await dying.close();
    await block(first, 'no');
    await eventually(async () => {
      const heir = await open(context, s, script);
      await idle(heir);
      await heir.close();
      return (await texts(conv)).length === 2;
    });
    t.same(await texts(conv), ['of the dead', 'and more']);
    t.equal(await living.evaluate(() => chat.sendings.length), 1);
    await living.close();
    await eventually(async () => {
      const heir = await open(context, s, script);
      await idle(heir);
      await heir.close();
      return (await texts(conv)).length === 3;
    });
    t.same(await texts(conv), ['of the dead', 'and more', 'of the living']);
  });

  t.test('what a closed chat left is sent by the next one of the same page', async (t) => {
    const conv = await ann.group([], { title: 'closed' });
    const context = await profile(t, launched, { bypassCSP: true });
    const page = await open(context, s, script);
    await idle(page);
    await block(page, 'yes');
    await page.reload();
    await write(page, conv, ['left']);
    await kept(page, 1);
    await page.evaluate(() => {
      chat.close();
      localStorage.setItem('blocked', 'no');
      return begin();
    });
    await idle(page);
    await eventually(async () => (await texts(conv)).length === 1);
    t.same(await texts(conv), ['left']);
  });

  t.test('tabs that refresh their login at once take turns', async (t) => {
    const context = await profile(t, launched, { bypassCSP: true });
    const first = await open(context, s, script);
    await idle(first);
    const tabs = await Promise.all(Array.from({ length: 4 }, () => open(context, s, script)));
    await Promise.all(tabs.map(idle));
    for (const tab of [first, ...tabs]) t.equal(await tab.evaluate(() => chat.me?.name), 'ann');
  });

  t.test('8. In a page (docs/client.md)', async (t) => {
    const manual = await readFile(join(ROOT, 'docs/client.md'), 'utf8');
    const [, recipe = ''] = /^## 8\.[\s\S]*?```ts\n([\s\S]*?)```/m.exec(manual) ?? [];
    t.match(recipe, 'browserOutbox');
    const context = await profile(t, launched, { bypassCSP: true });
    const page = await open(context, s, await bundled(`${recipe}\nObject.assign(globalThis, { chat });`));
    await page.waitForFunction("document.title === 'online'");
    await context.setOffline(true);
    await page.evaluate(() => chat.wake());
    await context.setOffline(false);
    await page.evaluate("dispatchEvent(new Event('online'))");
    await page.waitForFunction("document.title === 'online'");
    t.pass('it comes back with the network');
  });
});
