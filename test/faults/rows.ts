// Runs the test files of the matrix's rows, each once however many rows it belongs to, and shows what each row came to.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { cleanEnv } from '../kit/process.ts';
import { sharedMongo } from '../kit/services.ts';
import { Screen } from '../runner/screen.ts';
import { NoService } from './campaign.ts';
import type { Row } from './matrix.ts';
import type { RowResult } from './results.ts';

const RUNNER = new URL('../run.ts', import.meta.url).pathname;
const LAST_LINE = /^(\d+) passed, (\d+) failed$/m;

export class Rows {
  readonly results: Record<string, RowResult> = {};
  readonly #rows: readonly Row[];
  readonly #files = new Map<string, RowResult>();
  readonly #screen = new Screen(() => this.#status);
  #status = '';
  #child: ReturnType<typeof spawn> | null = null;
  #isOver = false;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  get failed(): number {
    return Object.values(this.results).reduce((sum, { failed }) => sum + failed, 0);
  }

  /** @throws NoService */
  async run(): Promise<void> {
    const mongo = await sharedMongo().catch((error: Error) => {
      throw new NoService(error.message);
    });
    try {
      for (const row of this.#rows) if (!this.#isOver) await this.#row(row, mongo.url);
    } finally {
      this.#screen.close();
      await mongo.stop();
    }
  }

  /** What runs has its own to end. */
  stop(): void {
    this.#isOver = true;
    this.#child?.kill('SIGTERM');
  }

  async #row({ fault, what, files, comesWith }: Row, mongoUrl: string): Promise<void> {
    if (comesWith !== undefined) return this.#screen.show([`${fault.padEnd(4)} ${what}: comes with ${comesWith}`]);
    const beganMs = performance.now();
    const sum = { passed: 0, failed: 0 };
    for (const [index, file] of files.entries()) {
      this.#status = `${fault}: ${file} (${index + 1} of ${files.length})`;
      const { passed, failed } = this.#files.get(file) ?? (await this.#file(file, mongoUrl));
      sum.passed += passed;
      sum.failed += failed;
      if (this.#isOver) return;
    }
    this.results[fault] = sum;
    const seconds = Math.round((performance.now() - beganMs) / 1_000);
    const verdict = sum.failed === 0 ? 'holds' : 'FAILS';
    this.#screen.show([
      `${fault.padEnd(4)} ${verdict}  ${what}: ${sum.passed} passed, ${sum.failed} failed, ${seconds} s`,
    ]);
  }

  async #file(file: string, mongoUrl: string): Promise<RowResult> {
    const env = { ...cleanEnv(), CHAT_TEST_MONGO_URL: mongoUrl, CHAT_TEST_WHOLE: '1' };
    const child = spawn(process.execPath, [RUNNER, file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    const output = await text(child.stdout);
    const [, passed = 0, failed = 1] = LAST_LINE.exec(output)?.map(Number) ?? [];
    const result = { passed, failed };
    this.#files.set(file, result);
    if (failed > 0 && !this.#isOver) this.#screen.show(output.trimEnd().split('\n'));
    return result;
  }
}
