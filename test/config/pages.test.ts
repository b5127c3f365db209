// The descriptions that are written from the table of settings.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { configPage, helpText } from '../../src/config/pages.ts';
import { rows } from '../../src/config/settings.ts';

t.test('ops/config.md is what the table says (`npm run docs` writes it)', async (t) => {
  t.equal(readFileSync(new URL('../../ops/config.md', import.meta.url), 'utf8'), configPage());
});

t.test('the page has every setting once', async (t) => {
  for (const [, setting] of rows()) t.equal(configPage().split(`| \`${setting.name}\` |`).length, 2, setting.name);
});

t.test('a cell of the page holds no column mark', async (t) => {
  const tableLines = configPage()
    .split('\n')
    .filter((line) => line.startsWith('|'));
  for (const line of tableLines) t.equal(line.split('|').length, 6, line);
});

t.test('--help has every setting once, below the mode that has it, with its default', async (t) => {
  const [, both = '', embedded = '', cluster = ''] = helpText().split(/^In both modes:|^With CHAT_MODE=\w+:/m);
  const parts = { both, embedded, cluster };
  for (const [, { name, only, default: fallback }] of rows()) {
    const holds = Object.entries(parts).filter(([, part]) => part.includes(`\n  ${name}\n`));
    t.same(
      holds.map(([mode]) => mode),
      [only ?? 'both'],
      name,
    );
    const [, entry = ''] = helpText().split(`\n  ${name}\n`);
    t.ok(entry.split('\n')[1]?.endsWith(fallback === null ? '; not set by default' : `; default ${fallback}`), name);
  }
});

t.test('every setting that operators were promised exists, and no other', async (t) => {
  const promised = `CHAT_MODE CHAT_HOST CHAT_PORT CHAT_DATA CHAT_REDIS_URL CHAT_MONGO_URL CHAT_S3_URL CHAT_S3_BUCKET
    CHAT_S3_KEY CHAT_S3_SECRET CHAT_SECRET CHAT_SECRET_FILE CHAT_ORIGINS CHAT_ROLES CHAT_WORKERS CHAT_MESSAGE_RATE
    CHAT_MESSAGE_BURST CHAT_HTTP_RATE CHAT_AUTH_RATE CHAT_TRUST_PROXY CHAT_REGISTRATION CHAT_ACCESS_TTL
    CHAT_REDIS_EPHEMERAL_URL CHAT_REDIS_DURABILITY CHAT_LOG_PARTITIONS CHAT_METRICS_PORT CHAT_METRICS_TOKEN CHAT_DRAIN_TIME CHAT_OUTBOX_BYTES
    CHAT_LOG_BUDGET_BYTES CHAT_MAX_CONNECTIONS_PER_USER CHAT_MAX_CONNECTIONS_PER_ADDRESS CHAT_LOG_LEVEL`;
  t.same(
    rows()
      .map(([, setting]) => setting.name)
      .sort(),
    promised.split(/\s+/).sort(),
  );
});
