// The disk under the data folder: how long one fdatasync of 4 kB takes, and what kind of file system it is.
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Times of single appends of 4 kB with their fdatasync, microseconds. */
export function fdatasyncTimes(count: number): number[] {
  const file = join(tmpdir(), `chatterbox-bench-disk-${process.pid}`);
  const block = Buffer.alloc(4_096, 0x78);
  const descriptor = openSync(file, 'w');
  try {
    return Array.from({ length: count }, () => {
      const start = performance.now();
      writeSync(descriptor, block);
      fdatasyncSync(descriptor);
      return (performance.now() - start) * 1_000;
    });
  } finally {
    closeSync(descriptor);
    rmSync(file);
  }
}

const KINDS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs (memory: durability costs nothing here)',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
};

export function fileSystem(): string {
  const { type } = statfsSync(tmpdir());
  return KINDS[type] ?? `0x${type.toString(16)}`;
}
