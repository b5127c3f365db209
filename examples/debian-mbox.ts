// Makes an mbox of what a Debian machine has to read: each entry of a changelog is a mail of its maintainer, each
// translation of a package's questions one of its translators. Tens of thousands of real texts, in some thirty languages.
//   node examples/debian-mbox.ts > debian.mbox && node examples/replay.ts debian.mbox
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { gunzipSync } from 'node:zlib';

interface Mail {
  readonly from: string;
  readonly at: Date;
  readonly subject: string;
  readonly text: string;
}

/** ` -- Name <address>  Mon, 01 Jan 2024 12:00:00 +0000` ends an entry (Debian Policy section 4.4). */
const TRAILER = /^ -- (?<from>.+?)\s+<(?<address>[^>]*)>\s+(?<date>.+)$/;
/** `Description-pt_BR.UTF-8: …` begins a translation (deb822, as debconf keeps it). */
const TRANSLATION = /^(?:Extended_)?[Dd]escription-(?<language>[a-z]{2,3}(?:_[A-Z]{2})?)\.UTF-8: (?<text>.+)$/;

function* changes(file: string): Generator<Mail, void> {
  let subject = '';
  let rows: string[] = [];
  for (const row of read(file).split('\n')) {
    const { from, date } = TRAILER.exec(row)?.groups ?? {};
    if (from !== undefined && date !== undefined) {
      const at = new Date(date);
      const text = rows.join('\n').trim();
      if (text !== '' && !Number.isNaN(at.getTime())) yield { from, at, subject, text };
      rows = [];
    } else if (/^\S/.test(row)) subject = row.replace(/;.*/, '');
    else rows.push(row.replace(/^ {2}/, ''));
  }
}

function* translations(file: string): Generator<Mail, void> {
  const at = new Date('2024-01-01T00:00:00Z');
  let mail: { language: string; text: string } | undefined;
  for (const row of [...read(file).split('\n'), '']) {
    if (mail !== undefined && row.startsWith(' ')) mail.text += row === ' .' ? '\n' : `\n${row.slice(1)}`;
    else {
      const from = `Translator ${mail?.language}`;
      if (mail !== undefined) yield { from, at, subject: basename(file, '.templates'), text: mail.text };
      const { language, text } = TRANSLATION.exec(row)?.groups ?? {};
      mail = language === undefined || text === undefined ? undefined : { language, text };
    }
  }
}

function read(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
}

/** RFC 2047, since a header is ASCII. */
function word(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
}

function mbox({ from, at, subject, text }: Mail, index: number): string {
  const date = at.toUTCString();
  const body = text.replace(/^>*From /gm, '>$&');
  return [
    `From debian ${date}`,
    `From: ${word(from)} <maintainer@debian.invalid>`,
    `Date: ${date}`,
    `Message-ID: <${index}@debian.invalid>`,
    `Subject: ${word(subject)}`,
    'Content-Type: text/plain; charset=utf-8',
    '',
    body,
    '',
    '',
  ].join('\n');
}

/** The same text comes with each package of one source. */
function distinct(mails: readonly Mail[]): Mail[] {
  return [...new Map(mails.map((mail) => [`${mail.at.getTime()} ${mail.subject} ${mail.text}`, mail])).values()];
}

const files = globSync('/usr/share/doc/*/changelog{,.Debian}.gz').filter((file) => basename(dirname(file)) !== '');
const mails = distinct([
  ...files.flatMap((file) => [...changes(file)]),
  ...globSync('/var/lib/dpkg/info/*.templates').flatMap((file) => [...translations(file)]),
]);
mails.sort((one, other) => one.at.getTime() - other.at.getTime());
process.stderr.write(`${mails.length} mails of ${new Set(mails.map(({ from }) => from)).size} people\n`);
process.stdout.write(mails.map(mbox).join(''));
