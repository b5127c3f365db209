// What the nemesis will do: a seed and a mode make a list of steps, always the same. Plain data, chosen before anything runs;
// knows nothing of processes. When a step comes is told by what clients see, so that a slow machine changes little.
import { type Random, random } from '../kit/random.ts';

export type Mode = 'embedded' | 'cluster';
export const MODES: readonly Mode[] = ['embedded', 'cluster'];

/** What is waited for before a step: the count of it, from the step before on. */
export interface Moment {
  /**
   * `acks`: acknowledgements; `asked`: requests on their way; `greeting`: clients that come back; `page`: pages being read;
   * `log` and `store`: the next write to that file.
   */
  readonly on: 'acks' | 'asked' | 'greeting' | 'page' | 'log' | 'store';
  readonly count: number;
}

export type Weather = 'cut' | 'cut up' | 'cut down' | 'slow' | 'far' | 'slices' | 'resets' | 'flapping';

export type Fault =
  /** `startsMs`: starts after it that are killed, too, so much later each. */
  | { readonly is: 'kill'; readonly node: number; readonly startsMs: readonly number[] }
  | { readonly is: 'term'; readonly node: number }
  | { readonly is: 'freeze'; readonly node: number }
  | { readonly is: 'hang up'; readonly writers: readonly number[] }
  /** A client that does not read what it is sent. */
  | { readonly is: 'deaf'; readonly writer: number }
  /** Another process holds the store's file. */
  | { readonly is: 'lock store' }
  | { readonly is: 'second process' }
  | { readonly is: 'network'; readonly node: number; readonly weather: Weather }
  | { readonly is: 'kill redis' | 'freeze redis' | 'kill mongod' | 'freeze mongod' }
  /** Redis comes back without anything, or without what it wrote last: the only faults that may lose something. */
  | { readonly is: 'empty redis' }
  | { readonly is: 'short redis'; readonly acks: number };

export interface Step {
  readonly at: Moment;
  readonly fault: Fault;
  /** It is mended after so many acknowledgements, or so long: whatever comes first. */
  readonly acks: number;
  readonly mostMs: number;
  /** The next step begins while this one lasts. */
  readonly overlaps: boolean;
}

export interface Schedule {
  readonly seed: number;
  readonly mode: Mode;
  /** Nothing but messages. */
  readonly isPlain: boolean;
  /** Requests each writer has under way at once. */
  readonly window: number;
  readonly hasLongTexts: boolean;
  /** One of its steps may lose what was acknowledged. */
  readonly isLosing: boolean;
  /** The log's budget and the connections' outboxes as small as they may be. */
  readonly isTight: boolean;
  readonly warmUp: number;
  readonly steps: readonly Step[];
}

const MOST_STEPS = 6;
const FEWEST_STEPS = 2;
const CLUSTER_NODES = 2;
const WRITERS = 4;
/** Runs in which something is lost are judged in two parts, and say less: they are few. */
const LOSING = 0.08;
/** What no look into the store slows down goes on at full speed: few, too. */
const PLAIN = 0.15;

export function schedule(seed: number, mode: Mode): Schedule {
  // Another chance than the writers have, who get the same seed.
  const chance = random(seed ^ 0x5eed);
  const hasLongTexts = chance.chance(0.1);
  const isPlain = chance.chance(PLAIN);
  // Nothing but messages are many: what there is at the end is read by everybody through every node.
  const window = 1 + chance.whole(isPlain ? 2 : 6);
  const shape = { isPlain, window, hasLongTexts, isTight: hasLongTexts || chance.chance(0.2) };
  const count = FEWEST_STEPS + chance.whole(MOST_STEPS - FEWEST_STEPS + 1);
  const faults = mode === 'embedded' ? embeddedFaults(hasLongTexts) : CLUSTER_FAULTS;
  const harmless = withoutClashes(Array.from({ length: count }, () => stepOf(mode, isPlain, faults, chance)));
  const warmUp = 20 + chance.whole(80);
  const steps = losing(mode, harmless, chance);
  const isLosing = steps.some(({ fault: { is } }) => is === 'empty redis' || is === 'short redis');
  return { seed, mode, ...shape, isLosing, warmUp, steps };
}

type Choice = readonly [weight: number, make: (chance: Random) => Fault];

const anyWriter = (chance: Random) => chance.whole(WRITERS);
const ALL_WRITERS = Array.from({ length: WRITERS }, (_, index) => index);

const hangUp: Choice = [
  10,
  (chance) => ({ is: 'hang up', writers: chance.chance(0.5) ? ALL_WRITERS : [anyWriter(chance)] }),
];

function embeddedFaults(hasLongTexts: boolean): readonly Choice[] {
  const deaf: Choice = [30, (chance) => ({ is: 'deaf', writer: anyWriter(chance) })];
  return [
    [40, (chance) => ({ is: 'kill', node: 0, startsMs: startsMs(chance) })],
    [12, () => ({ is: 'term', node: 0 })],
    [8, () => ({ is: 'freeze', node: 0 })],
    [6, () => ({ is: 'lock store' })],
    [4, () => ({ is: 'second process' })],
    hangUp,
    ...(hasLongTexts ? [deaf] : []),
  ];
}

function startsMs(chance: Random): readonly number[] {
  const starts: number[] = [];
  while (chance.chance(0.15)) starts.push(chance.whole(400));
  return starts;
}

const WEATHERS: readonly Weather[] = ['cut', 'cut up', 'cut down', 'slow', 'far', 'slices', 'resets', 'flapping'];

const anyNode = (chance: Random) => chance.whole(CLUSTER_NODES);

const CLUSTER_FAULTS: readonly Choice[] = [
  [20, (chance) => ({ is: 'kill', node: anyNode(chance), startsMs: [] })],
  [10, (chance) => ({ is: 'term', node: anyNode(chance) })],
  [8, (chance) => ({ is: 'freeze', node: anyNode(chance) })],
  [10, () => ({ is: 'kill redis' })],
  [6, () => ({ is: 'freeze redis' })],
  [8, () => ({ is: 'kill mongod' })],
  [6, () => ({ is: 'freeze mongod' })],
  [26, (chance) => ({ is: 'network', node: anyNode(chance), weather: chance.pick(WEATHERS) })],
  hangUp,
];

const EMBEDDED_MOMENTS = ['acks', 'acks', 'acks', 'acks', 'asked', 'log', 'log', 'store', 'page', 'greeting'] as const;
const CLUSTER_MOMENTS = ['acks', 'acks', 'acks', 'acks', 'asked', 'page', 'greeting'] as const;

function stepOf(mode: Mode, isPlain: boolean, faults: readonly Choice[], chance: Random): Step {
  const fault = pickOf(faults, chance);
  const moment = momentOf(chance.pick(mode === 'embedded' ? EMBEDDED_MOMENTS : CLUSTER_MOMENTS), chance);
  return {
    // Who does nothing but write reads no pages.
    at: isPlain && moment.on === 'page' ? { ...moment, on: 'acks' } : moment,
    fault,
    acks: fault.is === 'deaf' ? 600 : 10 + chance.whole(150),
    mostMs: mode === 'embedded' ? embeddedMs(fault, chance) : 200 + chance.whole(chance.chance(0.2) ? 4_000 : 1_500),
    overlaps: chance.chance(0.3),
  };
}

/** While the only server is gone nothing can happen. */
function embeddedMs({ is }: Fault, chance: Random): number {
  const isGone = is === 'kill' || is === 'term';
  return isGone && chance.chance(0.8) ? 0 : 50 + chance.whole(950);
}

function momentOf(on: Moment['on'], chance: Random): Moment {
  if (on === 'log' || on === 'store') return { on, count: 1 };
  if (on === 'greeting') return { on, count: 1 + chance.whole(WRITERS) };
  if (on === 'page') return { on, count: 1 + chance.whole(3) };
  return { on, count: 1 + chance.whole(chance.chance(0.1) ? 400 : 60) };
}

function pickOf(faults: readonly Choice[], chance: Random): Fault {
  let place = chance.whole(faults.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, make] of faults) {
    place -= weight;
    if (place < 0) return make(chance);
  }
  throw new Error('there is no fault to choose from');
}

/** What a fault lays hands on: two at the same thing do not overlap, nor does anything with what is one file's or one log's. */
export function targetOf(fault: Fault): string {
  switch (fault.is) {
    case 'kill':
    case 'term':
    case 'freeze':
      return `node ${fault.node}`;
    case 'network':
      return `network ${fault.node}`;
    case 'kill redis':
    case 'freeze redis':
      return 'redis';
    case 'kill mongod':
    case 'freeze mongod':
      return 'mongod';
    case 'deaf':
    case 'hang up':
      return 'clients';
    default:
      return 'all';
  }
}

/** A step ends before one that would meddle with it begins. */
function withoutClashes(steps: readonly Step[]): readonly Step[] {
  const lasting = new Set<string>();
  return steps.map((step, index) => {
    const next = steps[index + 1];
    lasting.add(targetOf(step.fault));
    const clashes =
      next === undefined || [...lasting, targetOf(next.fault)].includes('all') || lasting.has(targetOf(next.fault));
    if (!step.overlaps || clashes) lasting.clear();
    return { ...step, overlaps: step.overlaps && !clashes };
  });
}

/** Now and then one step of a cluster is a loss. Nothing overlaps with it. */
function losing(mode: Mode, steps: readonly Step[], chance: Random): readonly Step[] {
  if (mode === 'embedded' || !chance.chance(LOSING)) return steps;
  const place = chance.whole(steps.length);
  const fault: Fault = chance.chance(0.5) ? { is: 'empty redis' } : { is: 'short redis', acks: 20 + chance.whole(100) };
  return steps.map((step, index) => {
    if (index === place) return { ...step, at: { on: 'acks', count: 1 + chance.whole(60) }, fault, overlaps: false };
    return index === place - 1 ? { ...step, overlaps: false } : step;
  });
}

/** A step in a line. */
export function told({ at, fault, acks, mostMs, overlaps }: Step): string {
  const { is, ...rest } = fault;
  const words = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const what = [is, ...words].join(', ');
  return `at ${at.count} ${at.on}: ${what}; for ${acks} acks or ${mostMs} ms${overlaps ? ', and meanwhile:' : ''}`;
}
