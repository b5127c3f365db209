// One simulation: some devices, a server, some minutes of trouble, then quiet; and what was wrong.
import { Device, type Scene, type Tampering } from './device.ts';
import { Network } from './network.ts';
import { SimServer } from './server.ts';
import { isMember, type Truth } from './truth.ts';
import { World } from './world.ts';

export interface Run {
  readonly seed: number;
  /** Empty: all promises were kept. */
  readonly faults: readonly string[];
  readonly sent: number;
}

/** Long enough for every wait there is to end. */
const QUIET_MS = 400_000;

export interface Options {
  /** What is broken on purpose, for each start of a client anew. */
  readonly tampering?: () => Tampering;
  /** Is told of every frame and every turn. */
  readonly onTrace?: (line: string) => void;
}

export async function simulate(seed: number, { tampering = () => ({}), onTrace }: Options = {}): Promise<Run> {
  const world = new World(seed, onTrace);
  const { random } = world;
  const faults: string[] = [];
  const server = new SimServer(world, {
    listed: random.pick([2, 3, 100]),
    page: random.pick([1, 3, 10, 500]),
    rate: random.pick([0, 0, 5]),
  });
  const network = new Network(world, server);
  const scene: Scene = { world, server, network, tampering, fault: (text) => faults.push(text) };
  const users = ['ann', 'bob', 'cid'].slice(0, 2 + random.whole(2));
  server.create('c1', 'group', 'ann', users.slice(1), { title: 'first' });
  const devices = users.map((user) => new Device(scene, user, `${user}1`));
  if (random.chance(0.6)) devices.push(new Device(scene, 'ann', 'ann2'));
  for (let step = 0; step < 80; step++) {
    await world.pass(random.whole(random.chance(0.1) ? 8_000 : 400));
    if (random.chance(0.75)) random.pick(devices).act();
    else trouble(scene, users, devices);
  }
  await settle(scene, devices);
  for (const device of devices) device.check();
  checkSent(scene, devices);
  network.cutAll();
  await world.pass(QUIET_MS);
  for (const device of devices) {
    device.check();
    device.checkRead();
  }
  return { seed, faults: [...new Set(faults)], sent: devices.reduce((sum, { made }) => sum + made.length, 0) };
}

async function settle({ world, server, network }: Scene, devices: readonly Device[]): Promise<void> {
  server.isCalm = network.isCalm = true;
  await world.pass(QUIET_MS);
  // A connection that died while nothing was asked shows when it is looked after.
  for (const { chat } of devices) chat.wake();
  await world.pass(QUIET_MS);
  if (devices.some(({ missesAnswers }) => missesAnswers)) network.cutAll();
  await world.pass(QUIET_MS);
}

/** What others do, and what goes wrong. */
function trouble(scene: Scene, users: readonly string[], devices: readonly Device[]): void {
  const { world, server, network } = scene;
  const { random } = world;
  const truth = random.pick([...server.truths.values()]);
  const [user, other] = [random.pick(users), random.pick(users)];
  const acts: readonly (readonly [weight: number, act: () => void])[] = [
    [10, () => network.disturb()],
    [2, () => network.cutAll()],
    [3, () => server.stop(random.whole(5_000), random.chance(0.5))],
    [1, () => lose(scene, truth, user)],
    [2, () => random.pick(devices).crash()],
    [1, () => server.endedTokens.add(random.pick(devices).token)],
    [4, () => create(server, users)],
    [4, () => truth.kind !== 'direct' && rename(server, truth, user)],
    [4, () => truth.kind !== 'direct' && add(server, user, other)],
    [3, () => truth.kind !== 'direct' && kick(server, user, other)],
    [3, () => server.append(truth, user, { t: 'thing of a later version', of: 1 })],
    [3, () => flood(server, user)],
  ];
  let at = random.whole(acts.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, act] of acts) {
    at -= weight;
    if (at < 0) return void act();
  }
}

/** The log loses its end, and grows beyond where it was, while connections hardly last. */
function lose({ world, server, network }: Scene, truth: Truth, user: string): void {
  const { random } = world;
  const { head } = truth;
  if (head < 3) return;
  server.lose(truth, 1 + random.whole(head - 1));
  if (random.chance(0.5)) return;
  for (let ms = 0; ms < 8_000; ms += 200 + random.whole(2_000)) world.after(ms, () => network.cutAll());
  while (isMember(truth.standing(user)) && truth.head <= head + 2)
    server.append(truth, user, { t: 'message', text: `after ${truth.head}` });
}

function rename(server: SimServer, truth: Truth, user: string): void {
  if (isMember(truth.standing(user))) server.append(truth, user, { t: 'conv', title: `title ${truth.head}` });
}

function create(server: SimServer, users: readonly string[]): void {
  const { random } = server.world;
  const conv = `c${server.truths.size + 1}`;
  const creator = random.pick(users);
  const others = users.filter((user) => user !== creator && random.chance(0.5));
  const kind = random.pick(['group', 'room', 'direct'] as const);
  if (kind === 'direct') server.create(conv, kind, creator, users.filter((user) => user !== creator).slice(0, 1), {});
  else
    server.create(conv, kind, creator, others, {
      title: conv,
      ...(kind === 'room' ? { public: random.chance(0.7) } : {}),
    });
}

function add(server: SimServer, user: string, other: string): void {
  const truth = server.world.random.pick([...server.truths.values()]);
  if (truth.kind === 'direct' || !isMember(truth.standing(user)) || truth.standing(other) !== 'none') return;
  const invites = truth.kind === 'room' && truth.fields.public !== true;
  const draft = invites ? { what: 'invite' } : { what: 'add', role: 'member' };
  server.append(truth, user, { t: 'member', user: other, ...draft });
}

function kick(server: SimServer, user: string, other: string): void {
  const truth = server.world.random.pick([...server.truths.values()]);
  if (truth.kind === 'direct' || user === other || !isMember(truth.standing(user))) return;
  if (truth.standing(other) === 'member' || truth.standing(other) === 'invited')
    server.append(truth, user, { t: 'member', user: other, what: 'kick' });
}

/** Somebody elsewhere writes, and changes what was written. */
function flood(server: SimServer, user: string): void {
  const { random } = server.world;
  const truth = random.pick([...server.truths.values()]);
  if (!isMember(truth.standing(user))) return;
  for (let count = random.whole(random.chance(0.05) ? 600 : 20); count > 0; count--) {
    const [first] = truth.messages.keys();
    const draft =
      first !== undefined && random.chance(0.2)
        ? {
            t: random.pick(['edit', 'delete']),
            of: random.pick([...truth.messages.keys()]),
            text: `flood edit ${count}`,
          }
        : { t: 'message', text: `flood ${count}` };
    server.append(truth, user, draft);
  }
}

/** Every write once, unless it was refused; those of a device to a conversation in the order made. */
function checkSent({ server, fault }: Scene, devices: readonly Device[]): void {
  for (const { name, user, made } of devices) {
    const last = new Map<string, number>();
    for (const { text, id, conv, mayBeMissing, refused, isOutOfOrder } of made) {
      const truth = server.truths.get(conv);
      const found = (truth?.ordered() ?? []).filter(({ key, from }) => key === id && from === user);
      if (found.length > 1) fault(`${name}: ${text} is there ${found.length} times`);
      const seq = found[0]?.seq;
      if (seq === undefined) {
        if (!mayBeMissing && refused === undefined && !server.lostKeys.has(id)) fault(`${name}: ${text} is lost`);
        continue;
      }
      // One on its way since before the refusal may be taken when the reason for that is gone.
      const wasOnItsWay = (server.came.get(id) ?? 0) > 1;
      if (refused !== undefined && !mayBeMissing && !wasOnItsWay)
        fault(`${name}: ${text} was refused (${refused}) and is there`);
      // Lost with the log, and written again by a copy that was on its way.
      if (isOutOfOrder || server.lostKeys.has(id)) continue;
      const before = last.get(conv) ?? 0;
      if (seq < before) fault(`${name}: ${text} came before one made before it`);
      last.set(conv, seq);
    }
    const others = [...server.truths.values()].flatMap((truth) => truth.ordered());
    const texts = others.filter(({ deleted, edited }) => !deleted && !edited).map(({ text }) => text);
    for (const { text } of made) {
      if (texts.filter((other) => other === text).length > 1) fault(`${name}: ${text} is there more than once`);
    }
  }
}
