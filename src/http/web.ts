// The web page: files that ops/build-web.ts made, read once at the start and answered from memory, compressed as they lie
// there. Owns the page's own security headers. Refuses nothing to anybody: the page holds no secrets.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
// What these add to the options of routes.
import type {} from '@fastify/rate-limit';
import type {} from '@fastify/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ChatError } from '../errors.ts';

const PAGE_DIR = join(import.meta.dirname, '../../dist/web');
const PAGE = 'index.html';
/** Addresses that are views of the page; all others keep the answers of the API. */
const VIEWS = ['/', '/c/*', '/rooms', '/settings', '/settings/*'];

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
};
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/** Everything from this server, nothing inline; `ws:` and `wss:` for browsers whose 'self' leaves sockets out. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Names of files below `assets/` carry a hash of their content. */
const FOREVER = 'public, max-age=31536000, immutable';
const ASK_AGAIN = 'no-cache';

const NOT_BUILT =
  'The server runs; its page was not built. In the folder of the server, "npm ci" and then "npm start" build it.\n' +
  'The HTTP API is at /docs.\n';

interface PageFile {
  readonly type: string;
  readonly etag: string;
  /** By content coding; `identity` as it is. */
  readonly bytes: ReadonlyMap<string, Buffer>;
}

type Page = ReadonlyMap<string, PageFile>;

export async function servePage(app: FastifyInstance, dir: string = PAGE_DIR): Promise<void> {
  const page = await readPage(dir);
  // No limit: an answer from memory costs less than counting it, and a page that half loads is of no use.
  const options = { config: { rateLimit: false as const }, schema: { hide: true } };
  for (const view of VIEWS) {
    app.get(view, options, async (request, reply) => {
      const file = page.get(PAGE);
      if (file === undefined) return reply.code(404).type('text/plain; charset=utf-8').send(NOT_BUILT);
      return writeFile(file, ASK_AGAIN, request, reply.header('content-security-policy', POLICY));
    });
  }
  app.get<{ Params: { '*': string } }>('/assets/*', options, async (request, reply) => {
    const file = page.get(`assets/${request.params['*']}`);
    if (file === undefined) throw new ChatError('not_found');
    return writeFile(file, FOREVER, request, reply);
  });
}

function writeFile(file: PageFile, caching: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers({ etag: file.etag, 'cache-control': caching, vary: 'accept-encoding' });
  if (request.headers['if-none-match']?.includes(file.etag)) return reply.code(304).send();
  const coding = codingOf(request.headers['accept-encoding'] ?? '', file);
  if (coding !== 'identity') reply.header('content-encoding', coding);
  return reply.type(file.type).send(file.bytes.get(coding));
}

/** The smallest of those the client takes. */
function codingOf(accepted: string, { bytes }: PageFile): string {
  const taken = accepted.split(',').filter((coding) => !/;\s*q=0(?:\.0*)?\s*$/.test(coding));
  const names = taken.map((coding) => coding.split(';')[0]?.trim().toLowerCase());
  return ENCODINGS.find(([name]) => names.includes(name) && bytes.has(name))?.[0] ?? 'identity';
}

async function readPage(dir: string): Promise<Page> {
  const paths = await readdir(dir, { recursive: true }).catch(() => []);
  const names = new Set(paths.map((path) => path.replaceAll('\\', '/')));
  const files = [...names].filter((name) => extname(name) in TYPES);
  return new Map(await Promise.all(files.map(async (name) => [name, await readFileOf(dir, name, names)] as const)));
}

async function readFileOf(dir: string, name: string, names: ReadonlySet<string>): Promise<PageFile> {
  const plain = await readFile(join(dir, name));
  const bytes = new Map([['identity', plain]]);
  for (const [coding, suffix] of ENCODINGS) {
    if (names.has(name + suffix)) bytes.set(coding, await readFile(join(dir, name + suffix)));
  }
  const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  // Weak: the codings of one file share it.
  return { type: TYPES[extname(name)] ?? '', etag: `W/"${hash}"`, bytes };
}
