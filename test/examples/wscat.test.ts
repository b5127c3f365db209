// examples/wscat.md as it stands: its commands are run, each line it types is sent, each answer it shows must come.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import WebSocket from 'ws';
import { startServer } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';

const PAGE = readFileSync(new URL('../../examples/wscat.md', import.meta.url), 'utf8');
const OWN_ADDRESS = 'http://127.0.0.1:3000';

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: Block[] = [...PAGE.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}));

/** A line as shown: `…` is whatever comes. */
function pattern(line: string): RegExp {
  const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*?')}$`);
}

t.setTimeout(60_000);

t.test('every line of the page about the protocol by hand is as it says', async (t) => {
  const server = await startServer(t);
  const known: Record<string, string> = {};
  const filled = (text: string) => text.replace(/\$(TOKEN|CONV|EPOCH)/g, (_, name: string) => known[name] ?? '');
  let socket: WebSocket | undefined;
  let heard: string[] = [];

  function open(): void {
    socket?.terminate();
    heard = [];
    socket = new WebSocket(server.socketUrl);
    socket.on('message', (data) => heard.push(data.toString()));
  }

  async function expectLine(line: string): Promise<void> {
    const wanted = pattern(filled(line));
    await eventually(() => heard.some((frame) => wanted.test(frame))).catch(() => undefined);
    const found = heard.find((frame) => wanted.test(frame));
    t.ok(found !== undefined, `${line} in ${heard.join(' ')}`);
    heard = heard.filter((frame) => frame !== found);
    if (found?.includes('"epoch"')) known.EPOCH = JSON.parse(found).epoch;
  }

  async function type(line: string): Promise<void> {
    if (line.includes('"hello-02"')) open();
    if (socket?.readyState === WebSocket.CONNECTING) await new Promise((resolve) => socket?.once('open', resolve));
    t.ok(JSON.parse(filled(line)), line);
    socket?.send(filled(line));
  }

  for (const { language, text } of blocks) {
    if (language === 'sh') {
      const command = text.replaceAll(OWN_ADDRESS, server.url);
      const answer = JSON.parse(
        execFileSync('bash', ['-c', command], { env: { ...process.env, ...known } }).toString(),
      );
      if (answer.access !== undefined) known.TOKEN = answer.access;
      if (answer.conv !== undefined) known.CONV = answer.conv;
      continue;
    }
    if (socket === undefined) open();
    for (const line of text.trim().split('\n')) {
      if (line.startsWith('> ')) await type(line.slice(2));
      else await expectLine(line.slice(2));
    }
  }
  t.ok(known.TOKEN && known.CONV && known.EPOCH);
  socket?.terminate();
});
