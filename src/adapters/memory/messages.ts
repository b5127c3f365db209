// Messages in the process's memory, for tests and for trying things out: reads go through a whole conversation, so of
// law 8 nothing holds, and of law 3 only that a watermark and what it covers are seen together.
import type { MessageStore } from '../../ports/store.ts';
import type { ConvId, Seq } from '../../protocol/ids.ts';
import type { ItemState, MessageState } from '../../protocol/states.ts';
import { pageEnd, takePage } from '../page.ts';
import type { ConvView, Views } from './views.ts';

export function memoryMessages(views: Views): MessageStore {
  function messagesOf(conv: ConvId): MessageState[] {
    return [...(views.convs.get(conv)?.messages.values() ?? [])];
  }

  return {
    async apply(changes, upTo, epochs = []) {
      views.apply(changes, upTo, epochs);
    },

    watermark: async () => Array.from(views.watermark, (offset) => offset ?? 0),

    async changes(conv, after, limit, maxBytes) {
      const changes = views.convs.get(conv)?.changes.slice(after) ?? [];
      const rows = changes.map(({ seq, wire }) => ({ place: seq, text: wire }));
      const { kept } = takePage(rows, limit, maxBytes);
      return { changes: kept.map(({ place, text }) => ({ seq: place, wire: text })), upTo: views.upTo(conv) };
    },

    async history(conv, range, limit, maxBytes) {
      const isInRange = ({ seq }: MessageState) => ('before' in range ? seq < range.before : seq > range.after);
      const rows = messagesOf(conv)
        .filter(isInRange)
        .map((state) => rowOf(state.seq, state));
      if ('before' in range) rows.reverse();
      const { kept, more } = takePage(rows, limit, maxBytes);
      if ('before' in range) kept.reverse();
      return { items: kept.map(({ state }) => state), more, upTo: views.upTo(conv) };
    },

    async sync(conv, after, limit, maxBytes) {
      const rows = itemsOf(views.convs.get(conv)).flatMap((state) =>
        state.rev > after ? rowOf(state.rev, state) : [],
      );
      rows.sort((one, other) => one.place - other.place);
      const page = takePage(rows, limit, maxBytes);
      const upTo = views.upTo(conv);
      return { items: page.kept.map(({ state }) => state), to: pageEnd(page, upTo), upTo };
    },

    async messages(conv, seqs) {
      const view = views.convs.get(conv);
      return { items: seqs.flatMap((seq) => view?.messages.get(seq) ?? []), upTo: views.upTo(conv) };
    },

    recall: async (conv, user, key) => views.receipt({ conv, from: user, key }) ?? null,

    async heads(convs) {
      return new Map(
        convs.flatMap((conv) => {
          const view = views.convs.get(conv);
          return view === undefined ? [] : [[conv, view.head] as const];
        }),
      );
    },
  };
}

function rowOf<State>(place: Seq, state: State) {
  return { place, state, text: JSON.stringify(state) };
}

function itemsOf(view: ConvView | undefined): ItemState[] {
  if (view === undefined) return [];
  const conv = view.state === undefined ? [] : [view.state];
  return [...conv, ...view.members.values(), ...view.messages.values()];
}
