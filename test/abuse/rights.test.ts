// Every route and every frame, asked by everybody who might: the answer is the policy's, and what somebody may not see
// answers byte for byte like what never was.
import t from 'tap';
import { CLIENT_FRAMES, SIGNALS } from '../../src/protocol/requests.ts';
import type { Account } from '../kit/index.ts';
import type { Json } from '../kit/raw.ts';
import { arena, leavesLittle, newId, Speaker } from './kit.ts';
import { faultOf, plainFaultOf } from './rights/ask.ts';
import { namesOf, routesOf } from './rights/routes.ts';
import { castOf, SITUATIONS, type Situation, type Stage, stageOf } from './rights/situations.ts';
import { type Expected, PLAIN_FRAMES, PLAIN_ROWS, ROWS, type Row } from './rights/table.ts';

/** Asked at a time, each by a connection of its own. */
const AT_ONCE = 6;
/** A thousand conversations are known, and their changes in the tail of the log. */
const KEPT_BYTES = 24 * 1_048_576;

const place = await arena(t);
const cast = await castOf(place.server);

/** Routes that are nobody's to be granted, and where they are asked. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'OPTIONS *': 'requests.test.ts: what a page of another site may do',
};

function undeclared(names: readonly string[]): readonly string[] {
  const declared = new Set([...ROWS, ...PLAIN_ROWS].map(({ asks }) => asks));
  return names.filter((name) => !declared.has(name) && !(name in ELSEWHERE) && !(name in PLAIN_FRAMES));
}

t.test('every route and every frame has a policy, and no policy is of something that is not there', async (t) => {
  const names = [...namesOf(await routesOf(t)), ...Object.keys(CLIENT_FRAMES)];
  t.ok(names.length > 50, `${names.length} routes and frames`);
  t.same(undeclared(names), []);
  const known = new Set(names);
  t.same(
    [...ROWS, ...PLAIN_ROWS].map(({ asks }) => asks).filter((asks) => !known.has(asks)),
    [],
  );
});

t.test('a route that is added without a policy is found', async (t) => {
  const routes = await routesOf(t, (app) => void app.get('/api/v1/backdoor', async () => 'open'));
  t.same(undeclared(namesOf(routes)), ['GET /api/v1/backdoor']);
  t.same(undeclared([...Object.keys(CLIENT_FRAMES), 'impersonate']), ['impersonate']);
});

const isSignal = (asks: string) => asks in SIGNALS;

/** No frame can be said by who is not signed in: opening.test.ts. */
const situationsOf = (asks: string) =>
  asks in CLIENT_FRAMES ? SITUATIONS.filter((each) => each !== 'stranger' && each !== 'session ended') : SITUATIONS;

t.test('every question about a conversation, in every situation', async (t) => {
  const cells = ROWS.filter(({ asks }) => !isSignal(asks)).flatMap((row) =>
    situationsOf(row.asks).map((situation) => ({ row, situation })),
  );
  const work = async () => {
    const speaker = new Speaker(place, cast.sam);
    for (let cell = cells.shift(); cell !== undefined; cell = cells.shift()) {
      const { row, situation } = cell;
      const fault = await faultOf({ cast, speaker }, row, situation);
      t.equal(fault, null, `${row.asks}: ${row.name}, ${situation}: ${row.answers[situation]}`);
    }
    await speaker.end();
  };
  await leavesLittle(t, place, KEPT_BYTES, async () => void (await Promise.all(Array.from({ length: AT_ONCE }, work))));
});

t.test('every question about nothing in particular, by a stranger, in an ended session and by a user', async (t) => {
  const cells = PLAIN_ROWS.flatMap((row) => ([0, 1, 2] as const).map((who) => ({ row, who })));
  const work = async () => {
    for (let cell = cells.shift(); cell !== undefined; cell = cells.shift()) {
      const { row, who } = cell;
      const caller = ['a stranger', 'somebody whose session has ended', 'a user'][who];
      const fault = await plainFaultOf(place.server, row, who);
      t.equal(fault, null, `${row.asks} ${row.name ?? ''}, ${caller}: ${row.answers[who]}`);
    }
  };
  await leavesLittle(t, place, KEPT_BYTES, async () => void (await Promise.all(Array.from({ length: AT_ONCE }, work))));
});

t.test('a signal is heard by members, of members, and by and of nobody else', async (t) => {
  const speaker = await place.enter(cast.sam);
  for (const row of ROWS.filter(({ asks }) => isSignal(asks))) {
    const push = row.asks === 'typing' ? 'typing' : 'receipt';
    const asked = await Promise.all(
      situationsOf(row.asks).map(async (situation) => {
        const stage = await stageOf(cast, situation, { kind: 'group', whose: "another's" });
        return { situation, stage, bob: await place.enter(stage.bob) };
      }),
    );
    const isHeard = ({ situation }: (typeof asked)[number]) => row.answers[situation] === 'heard';
    // The unheard first: once the others have been heard, they would have been too.
    for (const each of asked.toSorted((one, other) => Number(isHeard(one)) - Number(isHeard(other)))) {
      const question = row.question(each.stage);
      if ('frame' in question) speaker.send(question.frame);
    }
    const ofSam = (conv: string) => (frame: Json) =>
      frame.t === push && frame.conv === conv && frame.user === cast.sam.id;
    for (const each of asked.filter(isHeard)) {
      t.ok(await each.bob.next(ofSam(each.stage.conv)), `${row.name}, ${each.situation}: heard`);
    }
    for (const each of asked.filter((one) => !isHeard(one))) {
      t.notOk(each.bob.unread.some(ofSam(each.stage.conv)), `${row.name}, ${each.situation}: unheard`);
    }
    await Promise.all(asked.map(({ bob }) => bob.close()));
  }
  await speaker.close();
  await place.staysWell(t);
});

t.test('no list names what somebody may not see', async (t) => {
  const stages = await Promise.all(
    SITUATIONS.filter((each) => each !== 'stranger' && each !== 'session ended').map(async (situation) => {
      return { situation, stage: await stageOf(cast, situation, { kind: 'private room', whose: 'own' }) };
    }),
  );
  const { sam } = cast;
  const listed = await Promise.all(['conversations', 'rooms'].map((path) => idsOf(path, sam)));
  const raw = await place.open();
  const ready = await raw.ask({ t: 'hello', id: newId(), token: sam.access });
  await raw.close();
  const inReady = new Set(ready.convs.map(({ conv }: { conv: string }) => conv));
  for (const { situation, stage } of stages) {
    const isIn = /^(owner|moderator|member|side of a direct|invited to a private room)$/.test(situation);
    const isPublic = situation.endsWith('public room');
    t.same(
      listed.map((ids) => ids.has(stage.conv)),
      [isIn, isPublic],
      `${situation}: listed ${isIn}, in the directory ${isPublic}`,
    );
    if (!isIn) t.notOk(inReady.has(stage.conv), `${situation}: not told at the opening`);
  }
});

/** The ids of all pages of a list. */
async function idsOf(path: string, { access: token }: Account): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (let cursor: unknown = ''; cursor !== undefined; ) {
    const page = cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`;
    const { body } = await place.server.http('GET', `${path}?limit=100${page}`, undefined, { token });
    for (const { conv } of body.items) ids.add(String(conv));
    ({ cursor } = body);
  }
  return ids;
}

t.test('the sweep finds a hole: an answer of another class, or a difference to nothing', async (t) => {
  const asker = { cast, speaker: new Speaker(place, cast.sam) };
  const rows = ['GET /api/v1/conversations/:conv', 'message'].map((asks) => ROWS.find((row) => row.asks === asks));
  const [look, say] = rows as [Row, Row];
  const as = (row: Row, situation: Situation, expected: Expected) =>
    faultOf(asker, { ...row, answers: { ...row.answers, [situation]: expected } }, situation);
  t.match(await as(say, 'member', 'forbidden'), /^not forbidden but /);
  t.match(await as(look, 'outsider', 'done'), /^not done but /);
  t.match(await as(look, 'passer-by of a public room', 'unseen'), /^not unseen but /);
  const telling = ({ conv, isThere }: Stage) =>
    isThere
      ? { method: 'GET', path: `/api/v1/conversations/${conv}` }
      : { method: 'POST', path: '/api/v1/conversations', fields: { kind: 'direct', members: [conv] } };
  t.match(
    await as({ ...look, question: telling }, 'outsider', 'unseen'),
    /^not as of nothing: .*, but .*"field":"members"/,
  );
  await asker.speaker.end();
});
