// A real browser for tests: Chromium from the machine, or installed as ops/services installs its programs. One a test file;
// each person gets a context of their own, with nothing of anybody else's.
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findProgram } from '../../ops/service/programs.ts';

/** What this file needs of a tap test. */
interface Test {
  teardown(end: () => unknown): void;
  fail(message: string): unknown;
}

/** Longer than anything takes on a machine with other things to do; what is waited for comes, or never. */
const PATIENCE_MS = 30_000;

export async function browser(t: Test): Promise<Browser> {
  const { path } = await findProgram('chromium', (line) => process.stderr.write(`# ${line}\n`));
  const launched = await chromium.launch({
    executablePath: path,
    // Root has no sandbox to go into. Shared memory of containers is small.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--lang=en-GB', '--force-color-profile=srgb'],
    env: browserEnv(),
  });
  t.teardown(() => launched.close());
  return launched;
}

/** What Node and tap want of child processes is not for a browser. */
function browserEnv(): Record<string, string> {
  const isForeign = (name: string) => /^(?:NODE_|CHAT_|TAP|_TAPJS)/.test(name);
  const entries = Object.entries(process.env).filter(([name, value]) => !isForeign(name) && value !== undefined);
  return Object.fromEntries(entries) as Record<string, string>;
}

/** A browser profile of its own, in which every fault of a page fails the test. */
export async function profile(
  t: Test,
  launched: Browser,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const context = await launched.newContext({
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  context.on('weberror', (error) => t.fail(`the page threw: ${error.error().stack ?? error.error()}`));
  context.on('console', (message) => {
    if (/Content Security Policy|TrustedScript|Trusted Type/i.test(message.text())) t.fail(message.text());
  });
  t.teardown(() => context.close());
  return context;
}

/** A tab. */
export async function tab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}
