// C13: the checker can find. A good history of a real run, with kills in it, is tampered with in every way that the rules
// are about, at many places each; whatever it is, it is found.
import t, { type Test } from 'tap';
import { startServer, temporaryFolder } from '../kit/process.ts';
import { random } from '../kit/random.ts';
import { check } from './checker.ts';
import { Run } from './run.ts';
import { Good, TAMPERINGS } from './tampering.ts';

const KILLS = 5;
/** Places each kind of tampering is tried at. */
const PLACES = 5;

t.setTimeout(300_000);

/** A run with everything in it that the rules are about. */
async function goodRun(t: Test): Promise<Good> {
  const options = { dataDir: await temporaryFolder(t), env: { CHAT_LOG_LEVEL: 'fatal' } };
  let server = await startServer(t, options);
  const run = await Run.begin(t, server);
  for (let kills = 0; kills < KILLS; kills++) {
    run.meet(server);
    await run.after(100);
    run.part();
    server = await server.restart();
  }
  run.meet(server);
  await run.after(200);
  await run.comeToRest();
  // While all are writing, the newest message that is read is hardly ever one that had been acknowledged before.
  for (const writer of run.writers) for (const conv of run.world.groups) await writer.readNewest(conv);
  const { events } = run.world.history;
  const upToNow = [...events];
  await run.end();
  await server.kill('SIGTERM');
  return new Good({ ...(await run.evidence(options.dataDir)), events: upToNow }, random(run.random.seed));
}

t.test('a good history, tampered with in any way, is found out', async (t) => {
  const good = await goodRun(t);
  t.same(check(good.evidence), [], 'untouched, there is nothing to find');
  for (const [rule, what, tamper] of TAMPERINGS) {
    let found = 0;
    for (let place = 0; place < PLACES; place++) {
      if (check(tamper(good)).some((finding) => finding.rule === rule)) found++;
    }
    t.equal(found, PLACES, `${rule}: ${what}`);
  }
});
