// One schedule from the first write to the verdict: warm up, faults, heal, come to rest, read everything everywhere, look at
// the files, check. Whatever happens, what was started is ended; a run that gets stuck is a finding like any other.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OwnServer } from '../kit/services.ts';
import { soon } from '../kit/waiting.ts';
import { check } from './checker.ts';
import { type Evidence, evidenceAfter, evidenceBefore, keepEvidence } from './evidence.ts';
import { Nemesis } from './nemesis.ts';
import { isReady, Run } from './run.ts';
import type { Schedule } from './schedule.ts';
import { Scope } from './scope.ts';
import { ClusterStage, EmbeddedStage, type Stage } from './stage.ts';

export interface Trial {
  readonly schedule: Schedule;
  /** Requests for changes, without their repeats. */
  readonly operations: number;
  readonly acknowledged: number;
  /** Writes that were made and lost their first answer. */
  readonly answersLost: number;
  /** How often what was done. */
  readonly faults: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
  /** From the last mend until every client had been acknowledged something. */
  readonly recoveryMs: number;
  readonly tookMs: number;
  /** What happened, in words. */
  readonly log: readonly string[];
}

/** Acknowledgements after the last fault. */
const AFTERWARDS = 60;
/** C12. Generous: other schedules run at the same time. */
const MOST_RECOVERY_MS = 15_000;
/** Of one kind, told of one schedule. */
const TOLD = 10;

/** @param mongo only for the cluster */
export async function play(schedule: Schedule, mongo?: OwnServer): Promise<Trial> {
  const scope = new Scope();
  const beganMs = performance.now();
  const tried = new Tried(schedule, scope);
  try {
    await tried.play(mongo);
  } catch (error) {
    tried.onStuck(error as Error);
  } finally {
    await scope.end();
  }
  return tried.trial(performance.now() - beganMs);
}

class Tried {
  readonly #schedule: Schedule;
  readonly #scope: Scope;
  #run: Run | null = null;
  #nemesis: Nemesis | null = null;
  #recoveryMs = 0;

  constructor(schedule: Schedule, scope: Scope) {
    this.#schedule = schedule;
    this.#scope = scope;
  }

  async play(mongo: OwnServer | undefined): Promise<void> {
    const { warmUp, steps } = this.#schedule;
    const stage = await this.#open(mongo);
    const run = await Run.begin(this.#scope, stage.node(0), this.#schedule);
    this.#run = run;
    const nemesis = new Nemesis(stage, run, this.#scope);
    this.#nemesis = nemesis;
    nemesis.tell('begun');
    run.meet(...stage.places);
    await run.after(run.writers.length, isReady);
    await run.after(warmUp);
    await nemesis.play(steps);
    await this.#recover(run);
    nemesis.tell('all are back');
    await this.#conclude(run, stage);
    nemesis.tell('judged');
  }

  #open(mongo: OwnServer | undefined): Promise<Stage> {
    if (this.#schedule.mode === 'embedded') return EmbeddedStage.open(this.#scope, this.#schedule);
    if (mongo === undefined) throw new Error('a cluster needs a mongod');
    return ClusterStage.open(this.#scope, this.#schedule, mongo);
  }

  async #recover(run: Run): Promise<void> {
    const mendedMs = performance.now();
    const waiting = new Set(run.writers.map(({ account }) => account.id));
    const isLast = run.after(1, (event) => {
      if (event.is === 'ok') waiting.delete(event.name.user);
      return waiting.size === 0;
    });
    await Promise.all([isLast, run.after(AFTERWARDS)]);
    await isLast;
    this.#recoveryMs = Math.round(performance.now() - mendedMs);
    if (this.#recoveryMs > MOST_RECOVERY_MS) this.#scope.fail(`C12: all were back only after ${this.#recoveryMs} ms`);
  }

  async #conclude(run: Run, stage: Stage): Promise<void> {
    await run.comeToRest(...(stage.nodes.length > 1 ? stage.places : []));
    await stage.storesAll();
    this.#nemesis?.tell('at rest');
    await run.end();
    for (const node of stage.places) {
      const exit = await soon(node.kill('SIGTERM'), () => 'it does not end by SIGTERM');
      this.#scope.same(exit, { code: 0, signal: null }, 'ended by SIGTERM at the end');
    }
    const evidence = await run.evidence(await stage.dump());
    this.#nemesis?.tell('dumped');
    for (const part of this.#parts(evidence)) run.judge(part, check(part), 'found');
  }

  /** What was said before something was lost, and what after all had heard of it. */
  #parts(evidence: Evidence): readonly Evidence[] {
    const loss = this.#nemesis?.loss ?? null;
    if (loss === null) return [evidence];
    return [evidenceBefore(loss.lostMs, evidence), evidenceAfter(loss.cutMs, evidence)];
  }

  onStuck(error: Error): void {
    this.#scope.fail(`stuck: ${error.message}`);
    const run = this.#run;
    if (run === null) return;
    const { events } = run.world.history;
    this.#scope.fail(`so far: ${keepEvidence(this.#schedule.seed, { events, finals: [], dump: null })}`);
  }

  trial(tookMs: number): Trial {
    const { history } = this.#run?.world ?? {};
    const acknowledged = new Set(history?.events.map((event) => (event.is === 'ok' ? event.name.key : undefined)));
    const asked = new Set(history?.events.map((event) => (event.is === 'invoke' ? event.operation.key : undefined)));
    acknowledged.delete(undefined);
    asked.delete(undefined);
    return {
      schedule: this.#schedule,
      operations: asked.size,
      acknowledged: acknowledged.size,
      answersLost: this.#run?.answersLost ?? 0,
      faults: Object.fromEntries(this.#nemesis?.done ?? []),
      findings: this.#scope.failures.slice(0, TOLD),
      recoveryMs: this.#recoveryMs,
      tookMs: Math.round(tookMs),
      log: this.#nemesis?.log ?? [],
    };
  }
}

/** Everything about a schedule that failed. @returns where */
export function keepTrial(trial: Trial): string {
  const file = join(tmpdir(), `chatterbox-schedule-${trial.schedule.mode}-${trial.schedule.seed}.json`);
  writeFileSync(file, `${JSON.stringify(trial, null, 2)}\n`);
  return file;
}
