// The Redis of limits and signals is gone, that of the log is not: nobody may do more than before, and messages go on.
import t from 'tap';
import { cluster } from '../kit/nodes.ts';
import { redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(120_000);

t.test(
  'without the Redis of limits sign-in and sends stay limited, and messages still cross from node to node',
  async (t) => {
    const ephemeral = await redisServer(t, { appendfsync: 'no' });
    const env = {
      CHAT_REDIS_EPHEMERAL_URL: ephemeral.url,
      CHAT_AUTH_RATE: '20',
      CHAT_MESSAGE_RATE: '5',
      CHAT_MESSAGE_BURST: '20',
      CHAT_LOG_LEVEL: 'silent',
    };
    const { pair } = await cluster(t, { env });
    const [one, two] = pair;
    const [ann, bob] = await Promise.all([one.client('ann'), two.client('bob')]);
    const group = await ann.group([bob]);
    await bob.hears(group);
    await ephemeral.kill();

    const logins = async () => {
      const { status } = await one.http('POST', 'auth/login', { login: 'ann', password: 'not this one' });
      return status;
    };
    const statuses = await Promise.all(Array.from({ length: 20 }, logins));
    t.ok(statuses.filter((status) => status === 429).length >= 10, 'sign-in is refused sooner than with it');
    t.ok(statuses.includes(401), 'and not altogether');

    const sends = Array.from({ length: 20 }, (_, count) =>
      ann.request({ t: 'message', conv: group, text: `${count}` }),
    );
    const answers = await Promise.all(sends);
    t.ok(
      answers.some((answer) => answer.t === 'error' && answer.code === 'rate_limited'),
      'sends are refused sooner, too',
    );
    const taken = answers.filter(({ t: type }) => type === 'ok').length;
    t.ok(taken > 0);
    await bob.next('message', { n: taken });

    await ephemeral.start();
    await eventually(async () => {
      ann.signal({ t: 'typing', conv: group, on: true });
      await bob.fence();
      return bob.pushes.some((push) => push.t === 'typing');
    }, 1_000);
    t.pass('signals are back');
  },
);
