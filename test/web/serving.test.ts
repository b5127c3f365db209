// The page as the server gives it: its headers, its caching, its codings, and what comes where it was not built.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { buildPage } from '../../ops/build-web.ts';
import { handleError } from '../../src/http/problems.ts';
import { servePage } from '../../src/http/web.ts';
import { server } from '../kit/index.ts';
import { temporaryFolder } from '../kit/process.ts';

/** The routes of the page alone, over a folder. */
async function site(t: Test, files: Readonly<Record<string, string>>) {
  const dir = await temporaryFolder(t);
  await mkdir(join(dir, 'assets'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
  const app = Fastify();
  app.setErrorHandler(handleError);
  await servePage(app, dir);
  t.teardown(() => app.close());
  return app;
}

const FILES = {
  'index.html': '<!doctype html>',
  'assets/a-123.js': 'script',
  'assets/a-123.js.br': 'as brotli',
  'assets/a-123.js.gz': 'as gzip',
  'assets/secret.txt': 'not of the page',
  '.built': 'hash',
};

t.test('all views are one page, asked for anew each time; what it names is kept for ever', async (t) => {
  const app = await site(t, FILES);
  for (const url of ['/', '/c/abc_-1', '/settings', '/settings/devices', '/?x=1']) {
    const { statusCode, headers, body } = await app.inject(url);
    t.match({ statusCode, body }, { statusCode: 200, body: FILES['index.html'] }, url);
    t.match(headers, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' });
  }
  const { headers } = await app.inject('/assets/a-123.js');
  t.match(headers, {
    'content-type': 'text/javascript; charset=utf-8',
    'cache-control': 'public, max-age=31536000, immutable',
  });
});

t.test('a page that has not changed is not sent again', async (t) => {
  const app = await site(t, FILES);
  const { headers } = await app.inject('/');
  const again = await app.inject({ url: '/', headers: { 'if-none-match': String(headers.etag) } });
  t.match({ status: again.statusCode, body: again.body }, { status: 304, body: '' });
  const other = await app.inject({ url: '/', headers: { 'if-none-match': 'W/"other"' } });
  t.equal(other.statusCode, 200);
  const head = await app.inject({ url: '/', method: 'HEAD' });
  t.match({ status: head.statusCode, body: head.body }, { status: 200, body: '' });
});

t.test('it is sent as small as the client takes it', async (t) => {
  const app = await site(t, FILES);
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    ['gzip, deflate, br, zstd', 'br', 'as brotli'],
    ['gzip', 'gzip', 'as gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip', 'as gzip'],
    ['BR', 'br', 'as brotli'],
    ['identity', undefined, 'script'],
    ['', undefined, 'script'],
  ];
  for (const [accepted, coding, body] of cases) {
    const answer = await app.inject({ url: '/assets/a-123.js', headers: { 'accept-encoding': accepted } });
    t.equal(answer.headers['content-encoding'], coding, accepted);
    t.equal(answer.body, body, accepted);
    t.equal(answer.headers.vary, 'accept-encoding');
  }
});

t.test('nothing else of the folder, or beside it, is served', async (t) => {
  const app = await site(t, FILES);
  for (const path of [
    'secret.txt',
    '../.built',
    '..%2F.built',
    '%2e%2e/.built',
    '.built',
    'none.js',
    '',
    'a-123.js.br',
  ]) {
    const { statusCode } = await app.inject(`/assets/${path}`);
    t.equal(statusCode, 404, path);
  }
});

t.test('where the page was not built, a word says how', async (t) => {
  const app = await site(t, {});
  const { statusCode, headers, body } = await app.inject('/c/abc');
  t.equal(statusCode, 404);
  t.match(headers['content-type'], /^text\/plain/);
  t.match(body, /"npm ci" and then "npm start"/);
});

t.test('a real server gives the built page, under the strictest policy, and its API stays as it was', async (t) => {
  await buildPage();
  const { url } = await server(t, { env: { CHAT_HTTP_RATE: '1' } });
  const page = await fetch(url);
  t.equal(page.status, 200);
  const policy = page.headers.get('content-security-policy') ?? '';
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self' ws: wss:",
    "img-src 'self' data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]) {
    t.ok(policy.split('; ').includes(rule), rule);
  }
  t.notMatch(policy, /unsafe|\*/);
  t.equal(page.headers.get('x-content-type-options'), 'nosniff');
  const html = await page.text();
  const script = /<script[^>]+src="([^"]+)"/.exec(html)?.[1] ?? '';
  const coded = async (coding: string) => {
    const answer = await fetch(url + script, { headers: { 'accept-encoding': coding } });
    t.equal(answer.headers.get('content-encoding'), coding === 'identity' ? null : coding);
    return answer.text();
  };
  const plain = await coded('identity');
  t.ok(plain.length > 1_000);
  t.ok((await coded('br')) === plain && (await coded('gzip')) === plain, 'in every coding the same');

  const unknown = await fetch(`${url}/no/such/thing`);
  t.equal(unknown.status, 404);
  t.match(await unknown.json(), { code: 'not_found' }, 'what is no view is answered as the API does');
  const docs = await (await fetch(`${url}/docs/json`)).json();
  t.notOk(
    Object.keys(docs.paths ?? {}).some((path) => path.includes('assets') || path === '/'),
    'not in the documentation',
  );
});
