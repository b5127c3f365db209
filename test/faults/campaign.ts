// Many schedules, several at a time: seeds one after the other, until there are enough or time is up. Tells of every group of
// them, and of each that failed at once, with how to see it again.
import { availableParallelism } from 'node:os';
import { mongoServer, type OwnServer } from '../kit/services.ts';
import { Screen } from '../runner/screen.ts';
import { type Mode, schedule } from './schedule.ts';
import { Scope } from './scope.ts';
import { MONGO_ARGS } from './stage.ts';
import { count, faultsOf, noTally, number, type Tally } from './tally.ts';
import { keepTrial, play, type Trial } from './trial.ts';

export interface CampaignOptions {
  /** Of the first; the others follow. */
  readonly seed: number;
  readonly modes: 'both' | Mode;
  /** How many; no end where left out. */
  readonly schedules?: number;
  /** Nothing new is begun afterwards. */
  readonly untilMs?: number;
  readonly lanes?: number;
}

/** What is told in one line. */
const GROUP = 20;
/** Of both modes three in ten: they take longer. */
const CLUSTER_IN_TEN = 3;

/** A service could not be started: nothing can be said about the server. */
export class NoService extends Error {}

export class Campaign {
  readonly tally = noTally();
  readonly #options: CampaignOptions;
  readonly #running = new Map<number, { readonly mode: Mode; readonly beganMs: number }>();
  readonly #screen = new Screen(() => this.#status());
  #group: { tally: Tally; beganMs: number } = { tally: noTally(), beganMs: performance.now() };
  #begun = 0;
  #isOver = false;

  constructor(options: CampaignOptions) {
    this.#options = options;
  }

  /** @throws NoService */
  async run(): Promise<void> {
    const lanes = this.#options.lanes ?? availableParallelism();
    try {
      await Promise.all(Array.from({ length: lanes }, () => this.#lane()));
    } finally {
      this.stop();
      if (this.#doneIn(this.#group.tally) > 0) this.#tellGroup();
      this.#screen.close();
    }
  }

  /** Begins nothing more; what was interrupted does not count. */
  stop(): void {
    this.#isOver = true;
  }

  async #lane(): Promise<void> {
    const mongod = new Mongod();
    try {
      for (let next = this.#next(); next !== null; next = this.#next()) {
        const { seed, mode } = next;
        this.#running.set(seed, { mode, beganMs: performance.now() });
        const trial = await play(schedule(seed, mode), mode === 'cluster' ? await mongod.server() : undefined);
        this.#running.delete(seed);
        if (this.#isOver) return;
        this.#take(trial);
        if (trial.findings.length > 0) await mongod.end();
      }
    } finally {
      await mongod.end();
    }
  }

  #next(): { readonly seed: number; readonly mode: Mode } | null {
    const { seed, modes } = this.#options;
    if (this.#isOver || this.#isDue()) return null;
    const index = this.#begun++;
    const mode = modes === 'both' ? (index % 10 < 10 - CLUSTER_IN_TEN ? 'embedded' : 'cluster') : modes;
    return { seed: seed + index, mode };
  }

  #isDue(): boolean {
    const { schedules = Number.POSITIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = this.#options;
    return this.#begun >= schedules || performance.now() >= untilMs;
  }

  #take(trial: Trial): void {
    count(this.tally, trial);
    count(this.#group.tally, trial);
    if (trial.findings.length > 0) this.#tellFindings(trial);
    if (this.#doneIn(this.#group.tally) === GROUP) this.#tellGroup();
  }

  #doneIn({ embedded, cluster }: Tally): number {
    return embedded.schedules + cluster.schedules;
  }

  #tellGroup(): void {
    const { tally, beganMs } = this.#group;
    const { embedded, cluster, findings } = tally;
    const done = this.#doneIn(this.tally);
    const acknowledged = embedded.acknowledged + cluster.acknowledged;
    const words = [
      `schedules ${done - this.#doneIn(tally) + 1}-${done}: ${embedded.schedules} embedded, ${cluster.schedules} cluster`,
      `${number(acknowledged)} acknowledged writes`,
      `${faultsOf(embedded) + faultsOf(cluster)} faults`,
      `${findings.length} with findings`,
      `${Math.round((performance.now() - beganMs) / 1_000)} s`,
    ];
    this.#screen.show([words.join(', ')]);
    this.#group = { tally: noTally(), beganMs: performance.now() };
  }

  #tellFindings(trial: Trial): void {
    const { mode, seed } = trial.schedule;
    this.#screen.show([
      `FOUND with seed ${seed}; again: npm run faults -- --mode ${mode} --seed ${seed}; all of it: ${keepTrial(trial)}`,
      ...trial.log.map((line) => `    ${line}`),
      ...trial.findings.map((text) => `  ! ${text}`),
    ]);
  }

  #status(): string {
    const { schedules } = this.#options;
    const now = performance.now();
    const running = [...this.#running].map(([seed, { mode, beganMs }]) => {
      return `${mode} ${seed} (${Math.round((now - beganMs) / 1_000)} s)`;
    });
    const of = schedules === undefined ? '' : `/${schedules}`;
    return `${this.#doneIn(this.tally)}${of} schedules, ${this.tally.findings.length} with findings; ${running.join(', ')}`;
  }
}

/** A lane's own mongod, from the first cluster on: to start one takes longer than a schedule should. */
class Mongod {
  #scope: Scope | null = null;
  #server: OwnServer | null = null;

  async server(): Promise<OwnServer> {
    if (this.#server !== null) return this.#server;
    this.#scope = new Scope();
    this.#server = await mongoServer(this.#scope, { args: MONGO_ARGS }).catch((error: Error) => {
      throw new NoService(error.message);
    });
    return this.#server;
  }

  async end(): Promise<void> {
    await this.#scope?.end();
    this.#server = null;
  }
}
