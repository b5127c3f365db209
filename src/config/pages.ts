// The two descriptions of the settings, both from the table: `--help` and ops/config.md.
import { type Mode, rows, type Setting } from './settings.ts';

/** What `--help` prints. */
export function helpText(): string {
  const settingsOf = (mode: Mode | undefined) =>
    rows()
      .filter(([, setting]) => setting.only === mode)
      .map(([, setting]) => `  ${setting.name}\n      ${setting.meaning}\n      ${sentence(setting)}\n`);
  return [
    'ChatterBox, a self-hosted real-time chat server.',
    '',
    '  npm start                  serves until SIGINT or SIGTERM',
    '  npm start -- --help        prints this',
    '  npm start -- --version     prints the version',
    '  npm start -- verify        compares log, store and watermarks; verify --help tells more',
    '',
    'Exit codes: 0 after a drain, 1 on a failure, 2 on wrong use or environment.',
    'Settings are environment variables; ops/config.md has the same.',
    '',
    'In both modes:',
    '',
    ...settingsOf(undefined),
    'With CHAT_MODE=embedded:',
    '',
    ...settingsOf('embedded'),
    'With CHAT_MODE=cluster:',
    '',
    ...settingsOf('cluster'),
  ].join('\n');
}

function sentence(setting: Setting): string {
  const fallback = setting.default === null ? 'not set by default' : `default ${setting.default}`;
  return `${setting.kind.is}; ${fallback}`;
}

/** The page ops/config.md; `npm run docs` writes it. */
export function configPage(): string {
  const tableFor = (mode: Mode | undefined) =>
    rows()
      .filter(([, setting]) => setting.only === mode)
      .map(([, setting]) => pageRow(setting));
  const head = ['| setting | value | default | meaning |', '|---|---|---|---|'];
  return [
    '# Settings',
    '',
    '<!-- Written by `npm run docs` from the table in src/config/settings.ts. -->',
    '',
    'Settings are environment variables. An empty one counts as not set. Before anything starts all of them are checked and',
    'every fault is told at once, one line each, with exit code 2: a wrong value, an unknown name that begins with `CHAT_`,',
    'settings that contradict each other. Values marked *Secret* are never printed.',
    '',
    'In Kubernetes give the pod `enableServiceLinks: false`: for a Service named `chat` it would set `CHAT_PORT` and more.',
    '',
    '## In both modes',
    '',
    ...head,
    ...tableFor(undefined),
    '',
    '## `CHAT_MODE=embedded` only',
    '',
    ...head,
    ...tableFor('embedded'),
    '',
    '## `CHAT_MODE=cluster` only',
    '',
    'Any number of processes, on any number of machines, on one log and one store. `CHAT_SECRET` or `CHAT_SECRET_FILE` is',
    'required, and the same for all of them.',
    '',
    ...head,
    ...tableFor('cluster'),
    '',
  ].join('\n');
}

function pageRow(setting: Setting): string {
  const fallback = setting.default === null ? 'not set' : `\`${setting.default}\``;
  const secret = setting.secret === true ? ' *Secret.*' : '';
  return `| \`${setting.name}\` | ${setting.kind.is} | ${fallback} | ${setting.meaning}${secret} |`;
}
