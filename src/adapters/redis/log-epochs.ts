// The epochs of all parts as one text, which clients keep and give back: the log's id, then one number where all parts have
// the same, else one a part.
import type { LogIdentity } from '../../ports/log-record.ts';

export function packEpochs({ id }: LogIdentity, epochs: readonly number[]): string {
  const isOne = epochs.every((epoch) => epoch === epochs[0]);
  const texts = (isOne ? epochs.slice(0, 1) : epochs).map((epoch) => epoch.toString(36));
  return `${id}_${texts.join('-')}`;
}

/** Undefined: of another log, or of no part like this. */
export function epochOf(packed: string, { id }: LogIdentity, part: number): number | undefined {
  if (!packed.startsWith(`${id}_`)) return undefined;
  const epochs = packed.slice(id.length + 1).split('-');
  return Number.parseInt(epochs[epochs.length === 1 ? 0 : part] ?? '', 36);
}
