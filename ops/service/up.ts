// `ops/services up` and `down`: each service once, from where the order says, and recorded so that it can be removed.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeStateFolder, removeEmptyStateFolder, stateFolder } from './cache.ts';
import { composeDown, composeRemove, composeStop, composeUp, doesComposeAnswer } from './compose.ts';
import { Failure, type Say } from './failure.ts';
import { birthOf } from './identity.ts';
import { undoable } from './interrupt.ts';
import { doesAnswer, SERVICE_KINDS } from './kinds.ts';
import { launch } from './launch.ts';
import { findProgram } from './programs.ts';
import { readRecord, readRecords, removeRecord, type ServiceName, type ServiceRecord, writeRecord } from './records.ts';

const STOP_TIMEOUT_MS = 10_000;
const STOP_POLL_MS = 20;

/** Says what it does; says nothing when all are up. What it started is removed again when it is interrupted or fails. */
export async function up(services: readonly ServiceName[], nodes: readonly string[], say: Say): Promise<void> {
  const fresh: ServiceRecord[] = [];
  const undo = () => Promise.all(fresh.map((record) => remove(record)));
  await undoable(undo, async () => {
    try {
      for (const service of services) {
        const record = await upOne(service, nodes, say);
        if (record !== undefined) fresh.push(record);
      }
    } catch (error) {
      await undo();
      removeEmptyStateFolder();
      throw error;
    }
  });
}

/** @returns what it started: nothing when it is up, or somebody else's */
async function upOne(service: ServiceName, nodes: readonly string[], say: Say): Promise<ServiceRecord | undefined> {
  const before = readRecord(service);
  if (before !== undefined && (await isAlive(before))) return undefined;
  if (await isGivenByUser(service, before, say)) return undefined;
  const { compose } = SERVICE_KINDS[service];
  const isComposed =
    compose !== null && (before === undefined || before.process === null) && (await doesComposeAnswer());
  const record = isComposed ? await upByCompose(service, say) : await upByProcess(service, nodes, before, say);
  writeRecord(record);
  return before === undefined ? record : undefined;
}

/** 1. A URL in the environment wins, unless it is the one we gave out. */
async function isGivenByUser(service: ServiceName, before: ServiceRecord | undefined, say: Say): Promise<boolean> {
  const { setting } = SERVICE_KINDS[service];
  const url = setting === null ? undefined : process.env[setting];
  if (setting === null || url === undefined || url === '' || url === before?.settings[setting]) return false;
  if (!(await doesAnswer(url))) {
    throw new Failure(2, `${setting} is set and nobody answers there; start that ${service}, or "unset ${setting}"`);
  }
  say(`${service}: ${setting} is set and answers; nothing started`);
  return true;
}

/** 2. Docker, where its engine answers. */
async function upByCompose(service: ServiceName, say: Say): Promise<ServiceRecord> {
  const kind = SERVICE_KINDS[service];
  if (kind.compose === null) throw new Failure(1, `${service} is not in docker-compose.yml`);
  say(`${service}: starting it with Docker Compose`);
  const port = await composeUp(kind.compose);
  const settings = kind.composeSettings(port);
  const url = settings[kind.setting ?? ''] ?? '';
  say(`${service}: ${url} (Docker Compose)`);
  return { service, port, url, settings, process: null };
}

/** 3. A program of this machine, or 4. one that is installed now. */
async function upByProcess(
  service: ServiceName,
  nodes: readonly string[],
  before: ServiceRecord | undefined,
  say: Say,
): Promise<ServiceRecord> {
  const kind = SERVICE_KINDS[service];
  const { path, origin } = await findProgram(kind.program, (line) => say(`${service}: ${line}`));
  const dir = join(makeStateFolder(), service);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { url, settings, ...plan } = kind.plan(dir, nodes, before?.settings);
  const port = before === undefined ? {} : { port: before.port };
  const server = await launch({ name: kind.program, program: path, dir, life: 'stays', ...plan, ...port }).catch(
    (error) => {
      if (before === undefined) rmSync(dir, { recursive: true, force: true });
      throw error;
    },
  );
  say(`${service}: ${url(server.port)} (${path}, ${origin})`);
  const ours = { pid: server.pid, birth: birthOf(server.pid) ?? '', program: path };
  return { service, port: server.port, url: url(server.port), settings: settings(server.port), process: ours };
}

/** Nothing is left: no process, no container, no file. */
export async function down(say: Say): Promise<void> {
  const records = readRecords();
  for (const record of records) {
    await remove(record);
    say(`${record.service}: stopped`);
  }
  if (records.some((record) => record.process === null)) await composeDown();
  rmSync(stateFolder(), { recursive: true, force: true });
}

export async function isAlive(record: ServiceRecord): Promise<boolean> {
  if (record.process !== null && birthOf(record.process.pid) !== record.process.birth) return false;
  return doesAnswer(`tcp://127.0.0.1:${record.port}`);
}

/** Ends it and keeps its data and its record: `up` brings it back with them. */
export async function halt(record: ServiceRecord): Promise<void> {
  const { compose } = SERVICE_KINDS[record.service];
  if (record.process !== null) await stop(record.process);
  else if (compose !== null) await composeStop(compose);
}

async function remove(record: ServiceRecord): Promise<void> {
  const { compose } = SERVICE_KINDS[record.service];
  if (record.process !== null) await stop(record.process);
  else if (compose !== null) await composeRemove(compose);
  rmSync(join(stateFolder(), record.service), { recursive: true, force: true });
  removeRecord(record.service);
}

/** The number may be another's by now: it is looked at before every signal. */
async function stop({ pid, birth }: { readonly pid: number; readonly birth: string }): Promise<void> {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  if (birthOf(pid) === birth) process.kill(pid, 'SIGTERM');
  while (birthOf(pid) === birth) {
    if (Date.now() > deadline) process.kill(pid, 'SIGKILL');
    await delay(STOP_POLL_MS);
  }
}
