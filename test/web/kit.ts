// People with browsers: a real server with the built page, and for each person a profile of their own.

import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import type { Test } from 'tap';
import { buildPage } from '../../ops/build-web.ts';
import { browser, profile } from '../kit/browser.ts';
import type { Options, Server } from '../kit/index.ts';
import { server } from '../kit/index.ts';

const PASSWORD = 'correct horse battery';

/** What this file needs of a server. */
export interface Site {
  readonly url: string;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly access: string;
  readonly refresh: string;
}

/** A server with the page as it is built from the sources now, and a browser. */
export async function world(t: Test, options: Options = {}): Promise<World> {
  await buildPage();
  const [site, launched] = await Promise.all([server(t, { cheapPasswords: true, ...options }), browser(t)]);
  return new World(t, site, launched);
}

export class World<Place extends Site = Server> {
  readonly site: Place;
  readonly browser: Browser;
  readonly #test: Test;

  constructor(t: Test, site: Place, launched: Browser) {
    this.#test = t;
    this.site = site;
    this.browser = launched;
  }

  /** Registers over HTTP. */
  person(name: string, displayName = name): Promise<Person> {
    return register(this.site, name, displayName);
  }

  /** Somebody's browser, signed in, at a path of the page. */
  async open(person: Person, { at = '/', from = this.site.url, ...options }: Opening = {}): Promise<Page> {
    const context = await this.profileOf(person, { from, ...options });
    return openTab(context, from + at);
  }

  /** Somebody's browser without a tab. */
  profileOf(person: Person, { from = this.site.url, ...options }: Opening = {}): Promise<BrowserContext> {
    return profile(this.#test, this.browser, { ...options, storageState: signedIn(person, from) });
  }

  /** A browser that nobody has used. */
  async newcomer(options: BrowserContextOptions = {}): Promise<Page> {
    return openTab(await profile(this.#test, this.browser, options), this.site.url);
  }
}

export interface Opening extends BrowserContextOptions {
  readonly at?: string;
  /** Another address of the same server. */
  readonly from?: string;
}

export async function openTab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

export async function register(site: Site, name: string, displayName = name): Promise<Person> {
  const fields = { username: name, displayName, email: `${name}@example.org`, password: PASSWORD };
  const answer = await ask<Omit<Person, 'id' | 'name' | 'displayName'> & { readonly user: Person }>(
    site,
    'POST',
    'auth/register',
    fields,
  );
  return { ...answer.user, access: answer.access, refresh: answer.refresh };
}

/** What the page keeps of a login. A refresh token works once: each profile wants a login of its own. */
function signedIn({ id, name, displayName, refresh }: Person, url: string) {
  const value = JSON.stringify({ user: { id, name, displayName }, refresh });
  return { cookies: [], origins: [{ origin: url, localStorage: [{ name: 'chatterbox', value }] }] };
}

/** Another login of the same person. */
export async function again(site: Site, person: Person): Promise<Person> {
  const { access, refresh } = await ask<Person>(site, 'POST', 'auth/login', { login: person.name, password: PASSWORD });
  return { ...person, access, refresh };
}

/** @throws where it is refused */
export async function ask<Body>(site: Site, method: string, path: string, body?: object, by?: Person): Promise<Body> {
  const response = await fetch(`${site.url}/api/v1/${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(by === undefined ? {} : { authorization: `Bearer ${by.access}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as Body;
}

export async function create(site: Site, by: Person, fields: object): Promise<string> {
  return (await ask<{ conv: string }>(site, 'POST', 'conversations', fields, by)).conv;
}

export function write(site: Site, by: Person, conv: string, text: string, fields: object = {}) {
  return ask<{ seq: number; n: number }>(site, 'POST', `conversations/${conv}/messages`, { text, ...fields }, by);
}

// ---- what one sees -------------------------------------------------------------------------------------------------

/** Where one writes. */
export const composer = (page: Page): Locator => page.getByRole('textbox', { name: /^Message / });

/** The rows of the open conversation. */
export const messages = (page: Page): Locator => page.locator('.message');

/** The row that says this. */
export const message = (page: Page, text: string): Locator => messages(page).filter({ hasText: text });

/** The entry of the list with this title. */
export const entry = (page: Page, title: string): Locator =>
  page.locator('.conversation-row').filter({ has: page.locator('.title').getByText(title, { exact: true }) });

export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

/** Until it holds: looks again and again, as long as it can come. */
export async function until(page: Page, condition: () => unknown): Promise<void> {
  await page.waitForFunction(condition);
}

export async function texts(page: Page): Promise<readonly string[]> {
  return page.locator('.message .text').allInnerTexts();
}
