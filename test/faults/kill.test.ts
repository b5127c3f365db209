// kill -9, at any moment and at the worst ones: what was acknowledged is there, numbered once.
import t, { type Test } from 'tap';
import { often } from '../kit/often.ts';
import { type ServerOptions, type ServerProcess, startProgram, startServer, temporaryFolder } from '../kit/process.ts';
import { nextWrite, soon } from '../kit/waiting.ts';
import { isReady, Run } from './run.ts';

const KILLS = often(200, 40);
/** Every so many kills the files are compared with everything seen so far. */
const CHECK_EVERY = often(50, 20);

/** Starts take half the time. */
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;

t.setTimeout(600_000);

/**
 * When it is killed: `acks` after some acknowledgements; `log` and `store` in the moment the file is written to, so before
 * the commit is durable or before its `ok`, and before the watermark has moved or the log has been trimmed; `greeting`
 * while clients come back.
 */
const MOMENTS = ['acks', 'acks', 'acks', 'log', 'log', 'store', 'store', 'greeting'] as const;

t.test(
  `kill -9 of the server ${KILLS} times while four clients write: nothing acknowledged is lost, no number twice, dense at the end`,
  async (t) => {
    const options: ServerOptions = {
      dataDir: await temporaryFolder(t),
      env: { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: COMPILED },
    };
    let server = await startServer(t, options);
    const run = await Run.begin(t, server);
    for (let kills = 0; kills < KILLS; ) {
      run.meet(server);
      await killAt(run.random.pick(MOMENTS), server, run);
      kills++;
      while (kills < KILLS && run.random.chance(0.1)) {
        await killWhileStarting(t, options, run.random.whole(350));
        kills++;
      }
      if (kills % CHECK_EVERY === 0) await run.verify(server.dataDir, `after ${kills} kills the checker finds nothing`);
      server = await startServer(t, options);
    }
    run.meet(server);
    await run.after(100);
    await run.comeToRest();
    await run.end();
    await server.kill('SIGTERM');
    run.tell();
    t.ok(run.answersLost > 0, `${run.answersLost} writes were made and lost their answer`);
    await run.verify(server.dataDir, 'at the end the checker finds nothing');
  },
);

async function killAt(moment: (typeof MOMENTS)[number], server: ServerProcess, run: Run): Promise<void> {
  const { random } = run;
  if (moment === 'greeting') await run.after(1 + random.whole(4), isReady);
  else await run.after(1 + random.whole(random.chance(0.1) ? 600 : 60));
  if (moment === 'log' || moment === 'store') await writtenTo(server.dataDir, `${moment}.db-wal`);
  run.part();
  await server.kill('SIGKILL');
}

/** Resolves when something is next written to a file. */
async function writtenTo(folder: string, name: string): Promise<void> {
  const next = nextWrite(folder, name);
  await soon(next.written, () => `nothing is written to ${name}`).finally(next.stop);
}

async function killWhileStarting(t: Test, options: ServerOptions, afterMs: number): Promise<void> {
  const program = await startProgram(t, options);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await program.kill('SIGKILL');
}
