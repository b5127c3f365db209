// An outbox in a file, for programs on Node: a line for each write put and each taken out, on disk before it is sent. It is
// rewritten when it is opened, and emptied when it has grown and nothing waits. Not to be shared by two running programs.
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Entry, Outbox } from './types.ts';

type Line = { readonly put: Entry } | { readonly remove: string };

interface Written {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** From here on it is emptied when nothing waits. */
const MAX_BYTES = 1_048_576;

/** @param path a file of its own for each user and program running at a time; made where there is none */
export function fileOutbox(path: string): Outbox {
  return new FileOutbox(path);
}

class FileOutbox implements Outbox {
  readonly #path: string;
  readonly #waiting = new Set<string>();
  #loaded: Promise<readonly Entry[]> | undefined;
  #bytes = 0;
  #queue: Written[] = [];
  #isWriting = false;
  /** A write that failed may have left a part of a line, which the next one has to be kept from. */
  #isTorn = false;

  constructor(path: string) {
    this.#path = path;
  }

  load(): Promise<readonly Entry[]> {
    this.#loaded = this.#rewrite();
    return this.#loaded;
  }

  put(entry: Entry): Promise<void> {
    this.#waiting.add(entry.id);
    return this.#append({ put: entry });
  }

  remove(id: string): Promise<void> {
    this.#waiting.delete(id);
    return this.#append({ remove: id });
  }

  /** Reads what is there, and leaves a file with that alone: the old one or the new one, whatever happens meanwhile. */
  async #rewrite(): Promise<readonly Entry[]> {
    const entries = entriesOf(await readText(this.#path));
    for (const { id } of entries) this.#waiting.add(id);
    const text = entries.map((entry) => `${JSON.stringify({ put: entry } satisfies Line)}\n`).join('');
    const temporary = `${this.#path}.new`;
    await write(temporary, 'w', text);
    await rename(temporary, this.#path);
    await syncFolder(dirname(this.#path));
    this.#bytes = Buffer.byteLength(text);
    return entries;
  }

  /** What comes while a write is under way goes with the next one. */
  #append(line: Line): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ text: `${JSON.stringify(line)}\n`, resolve, reject });
      if (!this.#isWriting) void this.#writeQueue();
    });
  }

  async #writeQueue(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const lines = this.#queue;
      this.#queue = [];
      try {
        await this.#write(lines.map(({ text }) => text).join(''));
        for (const { resolve } of lines) resolve();
      } catch (error) {
        for (const { reject } of lines) reject(error);
      }
    }
    this.#isWriting = false;
  }

  async #write(text: string): Promise<void> {
    await this.#loaded;
    const isToBeEmptied = this.#bytes > MAX_BYTES && this.#waiting.size === 0;
    const lines = isToBeEmptied ? '' : this.#isTorn ? `\n${text}` : text;
    this.#isTorn = true;
    await write(this.#path, isToBeEmptied ? 'w' : 'a', lines);
    this.#isTorn = false;
    this.#bytes = isToBeEmptied ? 0 : this.#bytes + Buffer.byteLength(lines);
  }
}

/** Resolves when it is on disk. */
async function write(path: string, flags: 'a' | 'w', text: string): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return '';
    throw error;
  }
}

/** What was put and not removed, in the order put. */
function entriesOf(text: string): readonly Entry[] {
  const entries = new Map<string, Entry>();
  for (const json of text.split('\n')) {
    const line = lineOf(json);
    if (line === undefined) continue;
    if ('put' in line) entries.set(line.put.id, line.put);
    else entries.delete(line.remove);
  }
  return [...entries.values()];
}

/** Undefined where it is empty or cut off: its write was never answered. @throws where it is none of an outbox */
function lineOf(json: string): Line | undefined {
  if (json === '') return undefined;
  try {
    return JSON.parse(json) as Line;
  } catch (error) {
    if (/^\{("|$)/.test(json)) return undefined;
    throw error;
  }
}

/** A renamed file is found after a power loss once its folder is on disk. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
