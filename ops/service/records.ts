// What `ops/services up` has brought up and `down` is to remove: a file for each service in the state folder.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeStateFolder, stateFolder } from './cache.ts';

export const SERVICE_NAMES = ['redis', 'mongo', 's3', 'nginx'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export interface ServiceRecord {
  readonly service: ServiceName;
  readonly url: string;
  /** What a server of ours is to be given. */
  readonly settings: Readonly<Record<string, string>>;
  readonly port: number;
  /** null when Docker Compose has it. */
  readonly process: { readonly pid: number; readonly birth: string; readonly program: string } | null;
}

export function readRecord(service: ServiceName): ServiceRecord | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(service, stateFolder()), 'utf8'));
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function readRecords(): readonly ServiceRecord[] {
  return SERVICE_NAMES.map(readRecord).filter((record) => record !== undefined);
}

/** Whole or not at all: `status` reads without a lock. */
export function writeRecord(record: ServiceRecord): void {
  const file = fileOf(record.service, makeStateFolder());
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeRecord(service: ServiceName): void {
  rmSync(fileOf(service, stateFolder()), { force: true });
}

/** One CHAT_SECRET for all nodes that run on these services, for as long as they are up. */
export function keptSecret(): string {
  const file = join(makeStateFolder(), 'secret');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function fileOf(service: ServiceName, folder: string): string {
  return join(folder, `${service}.json`);
}
