// The bot as it stands, under a server that is killed in between: each question is answered, once.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { freePort } from '../../ops/service/launch.ts';
import { eventually, server } from '../kit/index.ts';
import { temporaryFolder } from '../kit/process.ts';

const BOT = new URL('../../examples/echo-bot.ts', import.meta.url).pathname;
const MOST_LINES = 30;

t.setTimeout(120_000);

t.test('it answers what it is told in a direct, once, through restarts of the server', async (t) => {
  const s = await server(t, { env: { CHAT_PORT: `${await freePort()}` } });
  const env = { ...process.env, BOT_PASSWORD: 'correct horse battery' };
  const bot = spawn(process.execPath, [BOT, s.url], {
    env,
    cwd: await temporaryFolder(t),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => bot.kill('SIGKILL'));
  let told = '';
  for (const stream of [bot.stdout, bot.stderr]) stream.on('data', (data: Buffer) => (told += data.toString()));
  await eventually(() => told.includes('online'));

  const ann = await s.client('ann');
  const found = await ann.http('GET', 'users?q=echo');
  const [echo = { id: '' }] = found.body.items as { id: string }[];
  const { body } = await ann.http('POST', 'conversations', { kind: 'direct', members: [echo.id] });
  const conv = body.conv as string;
  await ann.send(conv, 'is anybody there?');
  const asked = await ann.next('message', { from: ann.id });
  t.match(await ann.next('message', { from: echo.id }), { text: 'is anybody there?', reply: asked.seq });

  await s.restart();
  await eventually(() => (told.match(/online/g) ?? []).length >= 2);
  const again = await ann.device();
  await again.send(conv, 'and now?');
  await again.next('message', { from: echo.id, text: 'and now?' });
  const texts = (await again.allMessages(conv)).map(({ text }) => text);
  t.same(texts, ['is anybody there?', 'is anybody there?', 'and now?', 'and now?']);
});

t.test('it is as short as it is said to be', (t) => {
  t.ok(readFileSync(BOT, 'utf8').trimEnd().split('\n').length <= MOST_LINES);
  t.end();
});
