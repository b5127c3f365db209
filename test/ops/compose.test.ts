// docker-compose.yml against the program it starts: a setting that the program would refuse, or a node that nginx does not
// know, shows only when somebody has typed `docker compose up`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { redisWords } from '../../ops/service/redis.ts';
import { readConfig } from '../../src/config.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const compose = read('docker-compose.yml');

/** `CHAT_` settings of the nodes, as Compose hands them over when the given variables are set. */
function nodeSettings(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const lines = compose.matchAll(/^ {4}(?<name>CHAT_\w+): (?<value>.*)$/gm);
  return Object.fromEntries(
    [...lines].map(({ groups: { name = '', value = '' } = {} }) => [name, interpolate(value, variables)]),
  );
}

function interpolate(value: string, variables: Readonly<Record<string, string>>): string {
  const text = value.replace(/^"(.*)"$/, '$1');
  return text.replace(/\$\{(\w+)(?::[?-][^}]*)?\}/g, (_, name: string) => variables[name] ?? '');
}

t.test('the nodes of docker-compose.yml start with the settings they are given', async (t) => {
  const given = { CHAT_SECRET: 's'.repeat(32), CHAT_S3_KEY: 'chatterbox', CHAT_S3_SECRET: 's'.repeat(32) };
  const config = readConfig(nodeSettings(given));
  t.match(config, { mode: 'cluster', host: '0.0.0.0', port: 3000, trustProxy: ['172.29.83.2'] });
});

t.test('no secret has a default', async (t) => {
  for (const name of ['CHAT_SECRET', 'CHAT_S3_KEY', 'CHAT_S3_SECRET']) {
    const uses = [...compose.matchAll(new RegExp(`\\$\\{${name}(.{2})`, 'g'))].map(([, operator]) => operator);
    t.ok(uses.length > 0, `${name} is used`);
    t.ok(
      uses.every((operator) => operator === ':?'),
      `${name} is required`,
    );
  }
});

t.test('Redis in a container is as careful as Redis from ops/services', async (t) => {
  const [, block = ''] = /^ {2}redis:\n(.*?)^ {4}volumes:/ms.exec(compose) ?? [];
  const inContainer = [...block.matchAll(/^ {6}- (.*)$/gm)].map(([, word = '']) => word.replace(/^"(.*)"$/, '$1'));
  const placeWords = new Set(['port', 'bind', 'dir'].map((name) => `--${name}`));
  const here = redisWords(1, { dir: '' }).filter(
    (word, i, words) => !placeWords.has(words[i - (i % 2)] ?? '') && word !== undefined,
  );
  t.same(inContainer.slice(1), here);
});

t.test('nginx stands in front of every node, and every node believes it', async (t) => {
  const nodes = [...compose.matchAll(/^ {2}(node-\d+):$/gm)].map(([, name]) => `${name}:3000`);
  const known = [...read('ops/nginx/nodes.conf').matchAll(/^server (\S+) /gm)].map(([, address]) => address);
  t.same(known, nodes);
  const [, nginxAddress] = /^ {2}nginx:\n.*?ipv4_address: (\S+)/ms.exec(compose) ?? [];
  t.equal(nodeSettings({}).CHAT_TRUST_PROXY, nginxAddress);
  const [, port] = /^listen (\d+)/m.exec(read('ops/nginx/listen.conf')) ?? [];
  t.match(compose, `:${port}"]`);
});
