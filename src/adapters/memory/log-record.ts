// The record of a log in the process's memory, for tests and for trying things out: of its laws the last does not hold.
import { randomBytes } from 'node:crypto';
import { StartError } from '../../errors.ts';
import type { LogIdentity, LogRecord, NodeReport, PartRecord } from '../../ports/log-record.ts';
import type { Millis } from '../../protocol/ids.ts';
import type { Views } from './views.ts';

interface Lease {
  readonly report: NodeReport;
  readonly until: Millis;
}

export function memoryLogRecord(
  { epochs, watermark, latestKeysMs }: Pick<Views, 'epochs' | 'watermark' | 'latestKeysMs'>,
  now: () => Millis = () => performance.now(),
): LogRecord {
  let identity: LogIdentity | undefined;
  const leases = new Map<string, Lease>();
  const opened: number[] = [];

  function partRecord(part: number): PartRecord {
    const [epoch = 0, stored = 0, latestKeyMs = 0] = [epochs[part], watermark[part], latestKeysMs[part]];
    return { epoch, opened: opened[part] ?? 0, stored, latestKeyMs };
  }

  return {
    async open(parts) {
      identity ??= { id: randomBytes(6).toString('base64url'), parts };
      if (identity.parts === parts) return identity;
      throw new StartError(`log_parts: the log is cut into ${identity.parts} parts, and cannot be cut into ${parts}`);
    },

    epochs: async () => Array.from({ length: identity?.parts ?? 0 }, (_, part) => partRecord(part)),

    async beginEpoch(part, from, above = 0) {
      if (partRecord(part).epoch === from) epochs[part] = Math.max(from, above) + 1;
      return partRecord(part);
    },

    async openEpoch(part, epoch) {
      if (partRecord(part).epoch === epoch) opened[part] = epoch;
    },

    async keepAlive(report, leaseMs) {
      leases.set(report.node, { report, until: now() + leaseMs });
    },

    async liveNodes() {
      return [...leases.values()].filter(({ until }) => until > now()).map(({ report }) => report);
    },

    async leave(node) {
      leases.delete(node);
    },
  };
}
