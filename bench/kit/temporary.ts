// Folders that do not outlive the bench, however it ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set<string>();

export function makeTemporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'chatterbox-bench-'));
  folders.add(folder);
  return folder;
}

export function removeTemporary(folder: string): void {
  folders.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

export function removeTemporaries(): void {
  for (const folder of folders) removeTemporary(folder);
}
