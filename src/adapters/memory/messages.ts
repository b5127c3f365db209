// Messages in the process's memory, for tests and for trying things out: reads go through a whole conversation, so of
// law 8 nothing holds, and of law 3 only that a watermark and what it covers are seen together.
import type { MessageStore } from '../../ports/store.ts';
import type { ConvId } from '../../protocol/ids.ts';
import type { ItemState, MessageState } from '../../protocol/states.ts';
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

    async changes(conv, after, limit) {
      const changes = views.convs.get(conv)?.changes.slice(after, after + limit) ?? [];
      return { changes: changes.map(({ seq, wire }) => ({ seq, wire })), upTo: views.upTo(conv) };
    },

    async history(conv, range, limit) {
      const messages = messagesOf(conv);
      const upTo = views.upTo(conv);
      if ('before' in range) {
        const older = messages.filter(({ seq }) => seq < range.before);
        return { items: older.slice(Math.max(0, older.length - limit)), more: older.length > limit, upTo };
      }
      const newer = messages.filter(({ seq }) => seq > range.after);
      return { items: newer.slice(0, limit), more: newer.length > limit, upTo };
    },

    async sync(conv, after, limit) {
      const upTo = views.upTo(conv);
      const changed = itemsOf(views.convs.get(conv)).filter(({ rev }) => rev > after);
      changed.sort((one, other) => one.rev - other.rev);
      const lastRev = changed[limit - 1]?.rev ?? upTo;
      const items = changed.filter(({ rev }) => rev <= lastRev);
      return { items, to: items.length < changed.length ? lastRev : upTo, upTo };
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

function itemsOf(view: ConvView | undefined): ItemState[] {
  if (view === undefined) return [];
  const conv = view.state === undefined ? [] : [view.state];
  return [...conv, ...view.members.values(), ...view.messages.values()];
}
