// The configuration: the environment, read once and checked against the table in config/settings.ts. The only reader
// of the environment. Refuses unknown CHAT_ names, wrong values and contradictions, all faults at once.
import type { Kind } from './config/kinds.ts';
import { type Mode, rows, SETTINGS, type Setting } from './config/settings.ts';
import { StartError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Settings = typeof SETTINGS;

type ValueOf<S> = S extends { kind: Kind<infer T>; default: infer D } ? (D extends null ? T | null : T) : never;

type ValuesOf<M extends Mode> = {
  readonly [F in keyof Settings as Settings[F] extends { only: Exclude<Mode, M> } ? never : F]: ValueOf<Settings[F]>;
};

/** What the modes' types tell otherwise than the table does. */
type Refined = 'mode' | 'secret' | 'secretFile' | 'origins' | 'trustProxy';

interface Common {
  readonly origins: readonly string[];
  readonly trustProxy: readonly string[];
}

/** The embedded mode's settings, checked. */
export interface EmbeddedConfig extends Omit<ValuesOf<'embedded'>, Refined>, Common {
  readonly mode: 'embedded';
  /** Null where one is to be made. */
  readonly secret: string | null;
}

/** The cluster mode's settings, checked. */
export interface ClusterConfig extends Omit<ValuesOf<'cluster'>, Refined>, Common {
  readonly mode: 'cluster';
  readonly secret: string;
}

/** Discriminated by `mode`; a setting of the other mode does not exist in a mode's type. */
export type Config = EmbeddedConfig | ClusterConfig;

/** What could be read: a field is missing where its text was wrong, or where it is the other mode's. */
type Readings = Partial<ValuesOf<'embedded'> & ValuesOf<'cluster'>>;

/**
 * The configuration an environment asks for. An empty variable counts as not set (Compose passes those on).
 * @throws StartError with one line a fault
 */
export function readConfig(env: Environment = process.env): Config {
  const faults = unknownNames(env);
  const readings = readAll(env, faults);
  faults.push(...foreignSettings(env, readings), ...contradictions(env, readings));
  if (faults.length > 0) throw new StartError(faults.join('\n'));
  const { secretFile, secret, origins, trustProxy, ...rest } = readings;
  // No fault: every field of the mode has been read.
  return { ...rest, secret: secret ?? secretFile, origins: origins ?? [], trustProxy: trustProxy ?? [] } as Config;
}

/** Where the mode itself cannot be read, all that is given is looked at. */
function readAll(env: Environment, faults: string[]): Readings {
  const mode = SETTINGS.mode.kind.read(env.CHAT_MODE || SETTINGS.mode.default);
  const values: Record<string, unknown> = {};
  for (const [field, setting] of rows()) {
    if (mode !== undefined && !isOf(setting, mode)) continue;
    const text = env[setting.name] || setting.default;
    const value = text === null ? null : setting.kind.read(text);
    if (value !== undefined) values[field] = value;
    else faults.push(`${setting.name}${shown(setting, text)} must be ${setting.kind.is}`);
  }
  return values as Readings;
}

const isOf = ({ only }: Setting, mode: Mode) => only === undefined || only === mode;

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

function foreignSettings(env: Environment, { mode }: Readings): string[] {
  if (mode === undefined) return [];
  return rows()
    .filter(([, setting]) => !isOf(setting, mode) && env[setting.name])
    .map(([, { name, only }]) => `${name} is for CHAT_MODE=${only}, and this is ${mode} mode`);
}

function contradictions(env: Environment, read: Readings): string[] {
  const faults: string[] = [];
  if (env.CHAT_SECRET && env.CHAT_SECRET_FILE) faults.push('CHAT_SECRET and CHAT_SECRET_FILE are both set; keep one');
  if (read.mode === 'cluster' && !env.CHAT_SECRET && !env.CHAT_SECRET_FILE) {
    faults.push(
      'CHAT_SECRET is not set, nor CHAT_SECRET_FILE; in cluster mode all processes sign with one key, given to each',
    );
  }
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
