// What was read: pages of sync and history hold the states that the changes add up to, whole and fresh (C8, C9), and the
// final reads hold everything.
import type { SyncAnswer } from '../../src/protocol/answers.ts';
import type { ItemState, MessageState } from '../../src/protocol/states.ts';
import { Acknowledged, type Case, type Finding } from './case.ts';
import type { EventOf, FinalRead } from './evidence.ts';
import { messageName, sameShape, shapeOf, type Timeline, thingOf } from './timeline.ts';

type Report = (rule: string, text: string) => void;

export function checkReads(run: Case): Finding[] {
  const findings: Finding[] = [];
  const report: Report = (rule, text) => findings.push({ rule, text });
  const freshness = new Freshness(run);
  for (const event of run.evidence.events) {
    if (event.is !== 'sync' && event.is !== 'history') continue;
    const { conv } = event.answer;
    const timeline = run.timelines.get(conv);
    if (timeline === undefined) continue;
    const about: Report = (rule, text) => report(rule, `${event.is} of ${conv} on ${event.connection}: ${text}`);
    if (event.is === 'sync') checkPage(event.answer, timeline, about);
    else checkHistory(event, timeline, about);
    freshness.check(event, about);
  }
  for (const final of run.evidence.finals) {
    const timeline = run.timelines.get(final.conv);
    if (timeline !== undefined) checkFinal(final, timeline, report);
  }
  return findings;
}

/** C9: the page is what changed in (from, to], each as it was after the last change up to `to`. */
function checkPage({ from, to, head, more, items }: SyncAnswer, timeline: Timeline, report: Report): void {
  if (to > head || more !== to < head || to < from) report('C9', `from ${from} to ${to} of ${head} with more:${more}`);
  if (head > timeline.head) return report('C9', `its head is ${head}, the files end at ${timeline.head}`);
  const there = new Set<string>();
  let last = from;
  for (const item of items) {
    there.add(thingOf(item));
    if (item.rev < last || item.rev <= from || item.rev > to)
      report('C9', `rev ${item.rev} in a page from ${from} to ${to}`);
    last = item.rev;
    checkState(item, to, timeline, report);
  }
  for (const seq of changedIn(timeline, from, to)) {
    for (const [thing, { rev }] of touchedAt(timeline, seq)) {
      const isLast = timeline.at(thing, head)?.rev === rev;
      if (isLast && !there.has(thing))
        report('C9', `${thing}, changed by ${rev}, is missing in a page from ${from} to ${to}`);
    }
  }
}

function* changedIn(timeline: Timeline, from: number, to: number): Generator<number> {
  for (let seq = from + 1; seq <= Math.min(to, timeline.head); seq++) yield seq;
}

/** The things a change has made a state of. */
function touchedAt(timeline: Timeline, seq: number): (readonly [string, { readonly rev: number }])[] {
  const change = timeline.changes[seq - 1];
  if (change === undefined) return [];
  const names =
    change.t === 'conv'
      ? ['conv', ...(change.members ?? []).map(({ user }) => `member ${user}`)]
      : change.t === 'member'
        ? [`member ${change.user}`]
        : [messageName('of' in change ? change.of : change.seq)];
  return names.flatMap((name) => {
    const moment = timeline.at(name, seq);
    return moment?.rev === seq ? [[name, moment] as const] : [];
  });
}

function checkState(item: ItemState, to: number, timeline: Timeline, report: Report): void {
  const moment = timeline.at(thingOf(item), to);
  const shape = shapeOf(item);
  if (moment === undefined || !sameShape(moment.shape, shape))
    report('C9', `${JSON.stringify(shape)}, but at ${to} it is ${JSON.stringify(moment?.shape)}`);
}

/** Whole messages without a gap between them, each as it once was. */
function checkHistory({ answer }: EventOf<'history'>, timeline: Timeline, report: Report): void {
  for (const [index, item] of answer.items.entries()) {
    const before = answer.items[index - 1];
    if (before !== undefined && item.n !== before.n + 1) report('C9', `message ${item.n} stands after ${before.n}`);
    const moment = timeline.things.get(messageName(item.seq))?.find(({ rev }) => rev === item.rev);
    if (moment === undefined || !sameShape(moment.shape, shapeOf(item)))
      report('C9', `${JSON.stringify(shapeOf(item))}, but at ${item.rev} it is ${JSON.stringify(moment?.shape)}`);
  }
}

/** C8: a read contains what was acknowledged, to anybody, before it was asked; or it says that it may not. */
class Freshness {
  readonly #all = new Map<string, Acknowledged>();
  readonly #messages = new Map<string, Acknowledged>();
  /** Edits and deletions, by conversation and message. */
  readonly #ofMessage = new Map<string, EventOf<'ok'>[]>();

  constructor(run: Case) {
    const oks = run.evidence.events.filter((event): event is EventOf<'ok'> => event.is === 'ok');
    const numbered = oks.filter(({ seq }) => seq !== undefined);
    for (const [conv, ofConv] of Map.groupBy(numbered, ({ name }) => name.conv)) {
      const isMessage = (ok: EventOf<'ok'>) => run.operation(ok.name)?.operation.t === 'message';
      this.#all.set(conv, new Acknowledged(ofConv));
      this.#messages.set(conv, new Acknowledged(ofConv.filter(isMessage)));
    }
    for (const ok of numbered) {
      const of = run.operation(ok.name)?.operation.of;
      if (of === undefined) continue;
      const name = `${ok.name.conv} ${of}`;
      this.#ofMessage.set(name, [...(this.#ofMessage.get(name) ?? []), ok]);
    }
  }

  check(event: EventOf<'sync'> | EventOf<'history'>, report: Report): void {
    const { conv, stale } = event.answer;
    if (stale === true) return;
    if (event.is === 'sync') {
      const acknowledged = this.#all.get(conv)?.before(event.asked) ?? 0;
      if (event.answer.head < acknowledged)
        report('C8', `its head is ${event.answer.head}, ${acknowledged} was acknowledged before`);
      return;
    }
    const { query, answer } = event;
    const newest = this.#messages.get(conv)?.before(event.asked) ?? 0;
    const isNewest = query.before === undefined && (query.after === undefined || answer.more === false);
    if (isNewest && newest > Math.max(answer.items.at(-1)?.seq ?? 0, query.after ?? 0))
      report('C8', `message ${newest} was acknowledged before, the newest here is ${answer.items.at(-1)?.seq}`);
    for (const item of answer.items) {
      const touches = this.#ofMessage.get(`${conv} ${item.seq}`) ?? [];
      const missing = touches.find(({ at, seq = 0 }) => at < event.asked && seq > item.rev);
      if (missing !== undefined)
        report('C8', `message ${item.seq} is as of ${item.rev}, ${missing.seq} was acknowledged before`);
    }
  }
}

/** C9 from the beginning: the whole conversation, by history and by sync. */
function checkFinal({ user, conv, messages, pages }: FinalRead, timeline: Timeline, report: Report): void {
  const about: Report = (rule, text) => report(rule, `final read of ${conv} by ${user}: ${text}`);
  let at = 0;
  for (const page of pages) {
    if (page.from !== at) about('C9', `a page from ${page.from} follows one to ${at}`);
    checkPage(page, timeline, about);
    at = page.to;
  }
  if (at !== timeline.head) about('C9', `it ends at ${at}, the files at ${timeline.head}`);
  compareMessages(messages, timeline, about);
}

function compareMessages(messages: readonly MessageState[], timeline: Timeline, report: Report): void {
  const expected = timeline.changes.filter(({ t }) => t === 'message').map(({ seq }) => seq);
  const found = messages.map(({ seq }) => seq);
  if (JSON.stringify(found) !== JSON.stringify(expected))
    report('C9', `it has ${found.length} messages, the files ${expected.length}; or in another order`);
  for (const message of messages) checkState(message, timeline.head, timeline, report);
}
