// The audit of a data folder: store and log, each in its way. Refuses a folder that has none of them.
import { access } from 'node:fs/promises';
import { StartError } from '../../errors.ts';
import type { LogAudit, StoreAudit } from '../../ports/audit.ts';
import { openLogAudit } from './audit-log.ts';
import { openStoreAudit } from './audit-store.ts';

export interface SqliteAuditOptions {
  readonly storeFile: string;
  readonly logFile: string;
  /** Keeps every server out of the folder. */
  readonly canMend: boolean;
}

/** @throws StartError one line for the operator */
export async function openSqliteAudit({ storeFile, logFile, canMend }: SqliteAuditOptions): Promise<{
  readonly store: StoreAudit;
  readonly log: LogAudit;
}> {
  for (const file of [storeFile, logFile]) await refuseMissing(file);
  const log = await openLogAudit(logFile, canMend);
  try {
    return { store: openStoreAudit(storeFile, canMend), log };
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function refuseMissing(file: string): Promise<void> {
  try {
    await access(file);
  } catch (cause) {
    throw new StartError(`data_missing: there is no ${file}, or it cannot be read`, { cause });
  }
}
