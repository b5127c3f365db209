// Which folder may know which. Imports point one way:
// protocol <- ports <- domain <- gateway, http <- app <- main, and ports <- adapters <- app.
import t from 'tap';
import { codeOf, readSources, type Source, toSource } from '../kit/source.ts';

const sources = readSources();

/** Known to all, and knowing nobody. */
const FOR_ALL = ['errors', 'counters', 'queue'];

/** Folders that are not the domain, with what each may import beside itself and those. All others are the domain. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  counters: [],
  queue: [],
  protocol: [],
  ports: ['protocol'],
  config: [],
  gateway: ['protocol', 'ports', 'domain'],
  http: ['protocol', 'ports', 'domain'],
  adapters: ['protocol', 'ports'],
  client: ['protocol'],
  web: ['protocol', 'client'],
  app: ['protocol', 'ports', 'domain', 'gateway', 'http', 'adapters', 'config'],
  main: ['app', 'config'],
};
const DOMAIN = ['protocol', 'ports', 'domain'];

/** Sockets, HTTP and storage come to the domain through ports. */
const OUTSIDE =
  /^(?:ws|fastify|@fastify\/.*|ioredis|mongodb|@aws-sdk\/.*|node:(?:sqlite|http|https|net|tls|fs|fs\/promises))$/;

/** The folder of a path below src, or the name of a file that stands in src itself. */
const folderOf = (path: string) => path.split('/')[1]?.replace(/\.ts$/, '') ?? '';
const isDomain = (folder: string) => !(folder in MAY_IMPORT);
const layerOf = (folder: string) => (isDomain(folder) ? 'domain' : folder);

function mayImport(from: Source, target: string): boolean {
  const [own, other] = [folderOf(from.path), folderOf(target)];
  if (own === other) return own !== 'adapters' || adapterOf(from.path) === adapterOf(target) || isShared(target);
  if (FOR_ALL.includes(other)) return true;
  if (!(MAY_IMPORT[own] ?? DOMAIN).includes(layerOf(other))) return false;
  return !isDomain(own) || !isDomain(other) || target.endsWith('/index.ts');
}

const adapterOf = (path: string) => path.split('/')[2];
/** What stands in adapters/ itself is no adapter. */
const isShared = (path: string) => path.split('/').length === 3;

function wrongImports(source: Source): readonly string[] {
  const wrong = source.imports.filter((target) => target.startsWith('src/') && !mayImport(source, target));
  const outside = isDomain(folderOf(source.path)) ? source.packages.filter((name) => OUTSIDE.test(name)) : [];
  return [...wrong, ...outside].map((target) => `${source.path} imports ${target}`);
}

/** A ring of names where each leads to the next, or undefined. */
function findCycle(leadsTo: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] | undefined {
  const done = new Set<string>();
  const walk = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    const cycle = [...(leadsTo.get(name) ?? [])].map((next) => walk(next, [...path, name])).find((ring) => ring);
    done.add(name);
    return cycle;
  };
  return [...leadsTo.keys()].map((name) => walk(name, [])).find((ring) => ring);
}

function graph(nameOf: (path: string) => string): ReadonlyMap<string, ReadonlySet<string>> {
  const edges = new Map<string, Set<string>>();
  for (const source of sources) {
    const from = nameOf(source.path);
    const targets = edges.get(from) ?? new Set();
    for (const target of source.imports) if (nameOf(target) !== from) targets.add(nameOf(target));
    edges.set(from, targets);
  }
  return edges;
}

t.test('imports point one way', async (t) => {
  t.ok(sources.length > 0);
  for (const source of sources) t.same(wrongImports(source), [], source.path);
});

t.test('only app.ts and app/ import adapters', async (t) => {
  const importers = sources.filter((source) => source.imports.some((target) => folderOf(target) === 'adapters'));
  t.same(
    importers.map((source) => source.path).filter((path) => !['adapters', 'app'].includes(folderOf(path))),
    [],
  );
});

t.test('no folder, and no file, leads back to itself', async (t) => {
  t.equal(findCycle(graph(folderOf)), undefined);
  t.equal(findCycle(graph((path) => path)), undefined);
});

t.test('the protocol runs anywhere: it imports no module of Node', async (t) => {
  const protocol = sources.filter((source) => folderOf(source.path) === 'protocol');
  t.same(
    protocol.flatMap((source) => source.packages.filter((name) => name.startsWith('node:'))),
    [],
  );
});

t.test('only the configuration reads the environment', async (t) => {
  const readers = sources.filter((source) =>
    /\bprocess\s*\.\s*env\b|\benv\b[^;]*from 'node:process'/.test(codeOf(source)),
  );
  t.same(
    readers.map((source) => source.path),
    ['src/config.ts'],
  );
});

t.test('nothing writes to the console', async (t) => {
  t.same(
    sources.filter((source) => /\bconsole\./.test(codeOf(source))).map((source) => source.path),
    [],
  );
});

t.test('file names are kebab-case nouns or verbs, and none is a drawer for the rest', async (t) => {
  for (const { path } of sources) {
    t.match(path, /^src(?:\/[a-z0-9]+(?:-[a-z0-9]+)*)+\.tsx?$/);
    t.notMatch(path, /\b(?:utils?|helpers?|common|misc|shared)\b/);
  }
});

t.test('every file opens with what it owns, in one to five lines', async (t) => {
  /** The laws of a port and the drawing of the path need more; an index is a list. */
  const excused = /^src\/(?:(?:ports|protocol)\/.*|messages\/path|.*\/index)\.ts$/;
  for (const { path, lines } of sources) {
    const opening = lines.findIndex((line) => !line.startsWith('//'));
    if (!excused.test(path)) t.ok(opening >= 1 && opening <= 5, `${path}: ${opening} lines`);
  }
});

t.test('the rules above can fail', async (t) => {
  const wrong = (path: string, text: string) => wrongImports(toSource(path, text));
  t.equal(wrong('src/protocol/a.ts', "import { x } from '../ports/log.ts';\n").length, 1, 'against the direction');
  t.equal(wrong('src/messages/a.ts', "import {\n  x,\n} from '../adapters/sqlite/log.ts';\n").length, 1, 'over lines');
  t.equal(wrong('src/messages/a.ts', "import type { X } from '../accounts/user.ts';\n").length, 1, 'past an index');
  t.equal(wrong('src/messages/a.ts', "export * from '../accounts/index.ts';\n").length, 0, 'by an index');
  t.equal(wrong('src/messages/a.ts', "const x = await import('ws');\n").length, 1, 'a library of the edge');
  t.equal(wrong('src/adapters/redis/a.ts', "import '../sqlite/log.ts';\n").length, 1, 'an adapter another');
  t.equal(wrong('src/gateway/a.ts', "import { x } from '../http/server.ts';\n").length, 1, 'siblings');
  t.same(
    findCycle(
      new Map([
        ['a', new Set(['b'])],
        ['b', new Set(['c'])],
        ['c', new Set(['b'])],
      ]),
    ),
    ['b', 'c', 'b'],
  );
});
