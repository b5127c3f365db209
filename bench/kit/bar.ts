// What a bar is: something that runs, says how it goes, and comes back with rows for the table.
import type { Audit } from './measure.ts';
import type { SubjectName } from './stage.ts';
import { median } from './stats.ts';

export interface Context {
  readonly quick: boolean;
  /** What is measured: the server, or a floor in its place while trying the bench itself. */
  readonly subject: SubjectName;
  /** Interleaved repeats. */
  readonly repeats: number;
  say(text: string): void;
}

export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly floorName: string;
  readonly floor: number | null;
  readonly server: number;
  /** What the bar is about: the server's figure over the floor's, how much it is above it, or the figure itself. */
  readonly as: 'ratio' | 'excess' | 'figure';
  readonly compared: number;
  /** Lowest and highest of the repeats, of `compared`. */
  readonly low: number;
  readonly high: number;
  /** The bar in words; empty where there is none. */
  readonly limit: string;
  /** null: for information. */
  readonly met: boolean | null;
}

export interface BarResult {
  readonly rows: readonly Row[];
  readonly audit: Audit;
  /** The busiest the generator has been, in shares of a core and process. */
  readonly loadCpu: number;
  /** How durable what was acknowledged is; empty where nothing is written. */
  readonly durability: string;
}

export interface Bar {
  readonly id: string;
  readonly title: string;
  /** Seconds it takes in full, about. */
  readonly fullSeconds: number;
  run(context: Context): Promise<BarResult>;
}

export const EMBEDDED_DURABILITY = 'SQLite WAL, synchronous=FULL';

interface PairedRow {
  readonly what: string;
  readonly unit: string;
  readonly floorName: string;
  /** One value a repeat, in the same order. */
  readonly floors: readonly number[];
  readonly servers: readonly number[];
  readonly as?: 'ratio' | 'excess';
  readonly limit?: string;
  readonly isMet?: (compared: number) => boolean;
}

/** A row from interleaved repeats: each repeat is compared with its own floor, then the median is taken. */
export function pairedRow({ what, unit, floorName, floors, servers, as = 'ratio', limit = '', isMet }: PairedRow): Row {
  const compared = servers.map((server, index) => {
    const floor = floors[index] ?? Number.NaN;
    return as === 'ratio' ? server / floor : server - floor;
  });
  const middle = median(compared);
  return {
    what,
    unit,
    floorName,
    floor: median(floors),
    server: median(servers),
    as,
    compared: middle,
    low: Math.min(...compared),
    high: Math.max(...compared),
    limit,
    met: isMet === undefined ? null : isMet(middle),
  };
}

interface PlainRow {
  readonly what: string;
  readonly unit: string;
  readonly servers: readonly number[];
  readonly limit?: string;
  readonly isMet?: (value: number) => boolean;
}

/** A row without a floor. */
export function plainRow({ what, unit, servers, limit = '', isMet }: PlainRow): Row {
  const server = median(servers);
  return {
    what,
    unit,
    floorName: '',
    floor: null,
    server,
    as: 'figure',
    compared: server,
    low: Math.min(...servers),
    high: Math.max(...servers),
    limit,
    met: isMet === undefined ? null : isMet(server),
  };
}
