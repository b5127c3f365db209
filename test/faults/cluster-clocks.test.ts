// The clock of one node is an hour ahead, or behind. The order and the times of changes are the log's, whatever a node thinks
// what time it is; tokens of one node are good on the other.
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { cluster, type Node } from '../kit/nodes.ts';
import { conclude, startRun } from './cluster-run.ts';

t.setTimeout(300_000);

const HOUR_S = 3_600;
/** Where Debian has it; of several, the one for programs with threads. */
const LIBRARIES = '/usr/lib/*/faketime/libfaketimeMT.so.1';

/** Installed where that is possible. @throws what to install otherwise */
async function requireFaketime(): Promise<string> {
  const install = () => promisify(execFile)('apt-get', ['install', '-y', '--no-install-recommends', 'libfaketime']);
  if (globSync(LIBRARIES).length === 0) {
    await install()
      .catch(() => promisify(execFile)('apt-get', ['update']).then(install))
      .catch(() => undefined);
  }
  const [library] = globSync(LIBRARIES);
  if (library === undefined)
    throw new Error('this test needs libfaketime: apt-get install libfaketime (as root), or the like');
  return library;
}

/** Its node starts again, on the wrong time. */
async function startSkewed(t: Test, node: Node, seconds: number): Promise<void> {
  const library = await requireFaketime();
  await node.kill('SIGTERM');
  const offset = `${seconds > 0 ? '+' : ''}${seconds}`;
  await node.start({ LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' });
  const date = (await node.http('GET', '/health')).headers.get('date') ?? '';
  const skewS = Math.round((Date.parse(date) - Date.now()) / 1_000);
  t.ok(Math.abs(skewS - seconds) < 60, `its clock is ${skewS} s off`);
}

for (const seconds of [HOUR_S, -HOUR_S]) {
  const name = seconds > 0 ? 'ahead' : 'behind';

  t.test(`a node whose clock is an hour ${name}, under load: one order, times that never go back`, async (t) => {
    const { cluster: world, run } = await startRun(t, {});
    const [one, two] = world.pair;
    run.meet(two);
    await startSkewed(t, one, seconds);
    run.meet(one, two);
    await run.hangUp();
    await run.after(300);
    await conclude(t, run, world);
  });

  t.test(`a node whose clock is an hour ${name}: tokens and times of either are good for both`, async (t) => {
    const { pair } = await cluster(t);
    const [skewed, right] = pair;
    await startSkewed(t, skewed, seconds);
    const [ann, bob] = await Promise.all([skewed.client('ann'), right.client('bob')]);
    const [annThere, bobHere] = await Promise.all([right.arrive(ann.account), skewed.arrive(bob.account)]);
    const group = await ann.group([bob]);
    await Promise.all([annThere.hears(group), bobHere.hears(group)]);
    const first = await ann.send(group, 'from the skewed node');
    const second = await bob.send(group, 'from the right one');
    t.ok(Math.abs(first.at - Date.now()) < (HOUR_S * 1_000) / 2, 'a change has the time of the log');
    t.ok(second.at >= first.at);
    t.match(await ann.send(group, 'again', { id: 'a-key-of-mine' }), { n: 3 });
    t.match(await annThere.send(group, 'again', { id: 'a-key-of-mine' }), { n: 3, dup: true });
    const { body } = await skewed.http('POST', 'auth/refresh', { refresh: bob.account.refresh });
    t.type(body.access, 'string', 'a session of the right one goes on at the skewed one');
    await (await right.arrive({ ...bob.account, access: body.access as string })).fence();
  });
}
