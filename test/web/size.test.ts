// What a browser has to load before the first view is there.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { buildPage } from '../../ops/build-web.ts';

const DIST = join(import.meta.dirname, '../../dist/web');
const MAX_SCRIPT_BYTES = 40 * 1_024;

/** Paths of all that the page names, and what the first script imports from the start. */
async function initial(kind: RegExp): Promise<readonly string[]> {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  const named = [...html.matchAll(kind)].map(([, path = '']) => path);
  const imported = await Promise.all(
    named.map(async (path) => {
      const code = await readFile(join(DIST, path), 'utf8');
      return [...code.matchAll(/\bimport\s*(?:[^'"()]*?from\s*)?["'](\.[^"']+)["']/g)].map(([, name = '']) =>
        join('/assets', name),
      );
    }),
  );
  return [...new Set([...named, ...imported.flat()])];
}

t.test(`the first script is at most ${MAX_SCRIPT_BYTES / 1_024} kB, gzipped`, async (t) => {
  await buildPage();
  const scripts = await initial(/<script[^>]+src="([^"]+)"/g);
  t.ok(scripts.length > 0);
  const sizes = await Promise.all(
    scripts.map(async (path) => gzipSync(await readFile(join(DIST, path)), { level: 9 }).length),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  t.comment(`${(bytes / 1_024).toFixed(1)} kB in ${scripts.length} file(s)`);
  t.ok(bytes <= MAX_SCRIPT_BYTES, `${bytes} bytes`);
});

t.test('nothing in the page is inline, and nothing comes from elsewhere', async (t) => {
  await buildPage();
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  t.notMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:/i);
  t.notMatch(html, /<script(?![^>]*\ssrc=)/i);
  for (const [, address = ''] of html.matchAll(/(?:src|href)="([^"]+)"/g)) t.match(address, /^\/assets\//);
});
