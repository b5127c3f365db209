// Loaded before src/main.ts (`node --import`), where NEWER_VERSION is set: stands between the server and its log, and makes of
// what people write changes that only a later version will know. What /poll begins is a `poll`, what /shadow begins an act
// of membership nobody has heard of.
import { registerHooks } from 'node:module';
import type { Append, Draft, Log } from '../../src/ports/log.ts';

const OURS = import.meta.url;
const LOGS = /\/adapters\/(redis|sqlite)\/log\.ts$/;
/** So that the real one can be had as well. */
const REAL = '?real';

if (process.env.NEWER_VERSION !== undefined) {
  registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context);
      const isOurs = context.parentURL?.startsWith(OURS) === true;
      const [, adapter] = LOGS.exec(resolved.url) ?? [];
      return adapter === undefined || isOurs
        ? resolved
        : { ...resolved, url: `${OURS}?${adapter}`, shortCircuit: true };
    },
  });
}

type Open = (options: unknown) => Promise<Log>;

async function openNewer(adapter: string, name: string, options: unknown): Promise<Log> {
  const url = new URL(`../../src/adapters/${adapter}/log.ts${REAL}`, OURS);
  const { [name]: open } = (await import(url.href)) as Record<string, Open>;
  if (open === undefined) throw new Error(`${url} has no ${name}`);
  const log = await open(options);
  const append: Log['append'] = (items) => log.append(items.map(newer));
  return new Proxy(log, {
    get: (target, field) => {
      if (field === 'append') return append;
      const value: unknown = Reflect.get(target, field, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export const openRedisLog: Open = (options) => openNewer('redis', 'openRedisLog', options);
export const openSqliteLog: Open = (options) => openNewer('sqlite', 'openSqliteLog', options);

function newer(item: Append): Append {
  return { ...item, drafts: item.drafts.map((draft) => newerDraft(draft, item.from)) };
}

function newerDraft(draft: Draft, from: string): Draft {
  if (draft.body.startsWith('"text":"/poll')) {
    return { type: 'poll' as Draft['type'], body: '"question":"lunch?","answers":["yes","no"]' };
  }
  if (draft.body.startsWith('"text":"/shadow')) return { type: 'member', body: `"user":"${from}","what":"shadow"` };
  return draft;
}
