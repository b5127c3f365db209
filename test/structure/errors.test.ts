// The table of failures and the protocol's page say the same.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { ChatError, CLOSES, ERRORS, type ErrorCode, errorEntry } from '../../src/errors.ts';

interface Row {
  readonly code: string;
  readonly http: number | undefined;
  readonly retry: boolean;
  readonly closes: number | undefined;
}

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** Rows of the table that begins `| code | HTTP | retry | also closes |`; a row may stand for several codes. */
function errorRows(markdown: string): readonly Row[] {
  const lines = markdown.split('\n');
  const head = lines.findIndex((line) => /^\| *code *\| *HTTP *\| *retry *\|.*closes/.test(line));
  const end = lines.findIndex((line, at) => at > head && !line.startsWith('|'));
  return lines.slice(head + 2, end === -1 ? undefined : end).flatMap(rowsOf);
}

function rowsOf(line: string): readonly Row[] {
  const [, codes = '', http = '', retry = '', closes = ''] = line.split('|');
  const names = [...codes.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? '');
  const statuses = [...http.matchAll(/\d{3}/g)].map(Number);
  const close = /\d{4}/.exec(closes)?.[0];
  return names.map((code, at) => ({
    code,
    http: statuses[at] ?? statuses[0],
    retry: retry.trim().startsWith('yes'),
    closes: close === undefined ? undefined : Number(close),
  }));
}

/** Close codes as the page names them: a number of ours, then its name in code marks. */
function closeRows(markdown: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...markdown.matchAll(/\b(4\d{3})\b[ |]+`(\w+)`/g)].map((match) => [match[2], Number(match[1])]),
  );
}

t.test('every code has its row on the page, with the same retry, status and close code', async (t) => {
  const told = new Map(errorRows(page).map((row) => [row.code, row]));
  t.same([...told.keys()].sort(), Object.keys(ERRORS).sort());
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const { http, retry = false, closes } = errorEntry(code);
    t.strictSame(told.get(code), { code, http, retry, closes }, code);
  }
});

t.test('every close code stands on the page under its name', async (t) => {
  t.strictSame(closeRows(page), { ...CLOSES });
});

t.test('a code closes with a close code that exists', async (t) => {
  /** RFC 6455 section 7.4.1: cannot accept the type of data. */
  const known = [1003, ...Object.values(CLOSES)];
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const { closes, fate } = errorEntry(code);
    if (closes !== undefined) t.ok(known.includes(closes), code);
    else t.equal(fate, 'reply', `${code} ends no connection`);
  }
});

t.test('4000 to 4499 invite to come back, 4500 to 4999 do not', async (t) => {
  const comeBack = ['going_away', 'too_slow', 'token_expired', 'flooding', 'no_pong'];
  for (const [name, code] of Object.entries(CLOSES)) t.equal(code < 4500, comeBack.includes(name), name);
});

t.test('what can be taken later says when', async (t) => {
  for (const code of ['overloaded', 'unavailable'] as const) t.equal(new ChatError(code).afterMs, 1_000, code);
  t.equal(new ChatError('overloaded', { afterMs: 5 }).afterMs, 5, 'better known');
});

t.test('a message of the table holds no internals', async (t) => {
  for (const { message } of Object.values(ERRORS)) t.match(message, /^[A-Z][^/\\{}<>]+\.$/);
});
