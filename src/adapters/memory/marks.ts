// Marks in the process's memory, for tests and for trying things out.
import type { Mark, MarkStore } from '../../ports/marks.ts';

export function memoryMarks(): MarkStore {
  const marks = new Map<string, Mark>();
  return {
    async put(given) {
      for (const mark of given) marks.set(JSON.stringify([mark.conv, mark.user]), mark);
    },
    ofUser: async (user) => [...marks.values()].filter((mark) => mark.user === user),
    inConv: async (conv) => [...marks.values()].filter((mark) => mark.conv === conv),
  };
}
