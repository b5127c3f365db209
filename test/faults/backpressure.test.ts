// A store that cannot keep up: the log grows to its budget and not beyond, and nothing is lost on the way back.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { startServer, temporaryFolder } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';
import { isReady, isRefused, Run } from './run.ts';

/** The smallest there is. */
const BUDGET_BYTES = 1_048_576;

t.setTimeout(300_000);

/** Changes that the log holds and the store does not. */
async function lag(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^chat_watermark_lag_changes (\d+)$/m.exec(text)?.[1]);
}

t.test(
  'while the store cannot be written, a log at its budget answers `overloaded`; then it drains to 0 and everything is there',
  async (t) => {
    const dataDir = await temporaryFolder(t);
    const env = { CHAT_LOG_BUDGET_BYTES: String(BUDGET_BYTES), CHAT_LOG_LEVEL: 'fatal' };
    const server = await startServer(t, { dataDir, env });
    const run = await Run.begin(t, server, { isPlain: true });
    run.meet(server);
    await run.after(run.writers.length, isReady);

    const other = new DatabaseSync(join(dataDir, 'store.db'), { timeout: 10_000 });
    t.teardown(() => other.isOpen && other.close());
    other.exec('BEGIN IMMEDIATE');
    await run.after(50, isRefused(/^overloaded$/));
    t.ok((await lag(server.url)) > 0, 'the store is behind');
    other.exec('ROLLBACK');
    other.close();

    await run.after(500);
    await run.comeToRest();
    await eventually(async () => (await lag(server.url)) === 0);
    run.tell();
    await run.end();
    t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
    await run.verify(dataDir, 'the checker finds nothing');
  },
);
