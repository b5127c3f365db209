// The configuration: the environment, read once and checked against the table in config/settings.ts. The only reader
// of the environment. Refuses unknown CHAT_ names, wrong values and contradictions, all faults at once.
import type { Kind } from './config/kinds.ts';
import { type Mode, rows, type SETTINGS, type Setting } from './config/settings.ts';
import { StartError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Settings = typeof SETTINGS;

type ValueOf<S> = S extends { kind: Kind<infer T>; default: infer D } ? (D extends null ? T | null : T) : never;

type ValuesOf<M extends Mode> = {
  readonly [F in keyof Settings as Settings[F] extends { only: Exclude<Mode, M> } ? never : F]: ValueOf<Settings[F]>;
};

/** The embedded mode's settings, checked. `secret` is null where one is to be made. */
export interface EmbeddedConfig extends Omit<ValuesOf<'embedded'>, 'mode' | 'secretFile' | 'origins' | 'trustProxy'> {
  readonly mode: 'embedded';
  readonly origins: readonly string[];
  readonly trustProxy: readonly string[];
}

/** Discriminated by `mode`; a setting of the other mode does not exist in a mode's type. */
export type Config = EmbeddedConfig;

/** What could be read: a field is missing where its text was wrong. */
type Readings = Partial<ValuesOf<'embedded'>>;

/**
 * The configuration an environment asks for. An empty variable counts as not set (Compose passes those on).
 * @throws StartError with one line a fault
 */
export function readConfig(env: Environment = process.env): Config {
  const faults = unknownNames(env);
  const readings = readAll(env, faults);
  faults.push(...contradictions(env, readings));
  if (faults.length > 0) throw new StartError(faults.join('\n'));
  const { secretFile, secret, origins, trustProxy, ...rest } = readings as ValuesOf<'embedded'>;
  return {
    ...rest,
    mode: 'embedded',
    secret: secret ?? secretFile,
    origins: origins ?? [],
    trustProxy: trustProxy ?? [],
  };
}

function readAll(env: Environment, faults: string[]): Readings {
  const values: Record<string, unknown> = {};
  for (const [field, setting] of rows()) {
    if (setting.only === 'cluster') continue;
    const text = env[setting.name] || setting.default;
    const value = text === null ? null : setting.kind.read(text);
    if (value !== undefined) values[field] = value;
    else faults.push(`${setting.name}${shown(setting, text)} must be ${setting.kind.is}`);
  }
  return values as Readings;
}

function shown(setting: Setting, text: string | null): string {
  if (setting.secret === true || text === null) return '';
  return ` is ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text)}, but`;
}

function unknownNames(env: Environment): string[] {
  const names = rows().map(([, setting]) => setting.name);
  return Object.keys(env)
    .filter((name) => name.startsWith('CHAT_') && !names.includes(name))
    .map((name) => `${name} is not a setting; the nearest is ${nearest(name, names)} (--help lists all)`);
}

function contradictions(env: Environment, read: Readings): string[] {
  const faults: string[] = [];
  if (read.mode === 'cluster') {
    faults.push('CHAT_MODE is "cluster", but the cluster mode is not in this version; leave CHAT_MODE out');
  } else if (read.mode === 'embedded') {
    const foreign = rows().filter(([, setting]) => setting.only === 'cluster' && env[setting.name]);
    faults.push(...foreign.map(([, setting]) => `${setting.name} is for CHAT_MODE=cluster, and this is embedded mode`));
  }
  if (env.CHAT_SECRET && env.CHAT_SECRET_FILE) faults.push('CHAT_SECRET and CHAT_SECRET_FILE are both set; keep one');
  if (read.messageBurst === 0 && read.messageRate !== undefined && read.messageRate > 0) {
    faults.push('CHAT_MESSAGE_BURST is 0, so nobody could send; give at least 1, or CHAT_MESSAGE_RATE=0 for no limit');
  }
  if (read.metricsPort !== undefined && read.metricsPort === read.port) {
    faults.push('CHAT_METRICS_PORT is the same as CHAT_PORT; leave it out to have the metrics there');
  }
  return faults;
}

function nearest(name: string, names: readonly string[]): string {
  const byDistance = names.map((known) => ({ known, distance: editDistance(name, known) }));
  return byDistance.reduce((best, next) => (next.distance < best.distance ? next : best)).known;
}

/** Letters to put in, take out or change to make one word the other (Levenshtein). */
function editDistance(one: string, other: string): number {
  let above = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...one].entries()) {
    const line = [row + 1];
    for (let column = 1; column <= other.length; column++) {
      const changed = (above[column - 1] ?? 0) + (letter === other[column - 1] ? 0 : 1);
      line.push(Math.min(changed, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1));
    }
    above = line;
  }
  return above.at(-1) ?? 0;
}
