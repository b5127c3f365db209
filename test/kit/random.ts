// Chance that can be repeated: the seed is the test's to print, and CHAT_TEST_SEED brings a failing one back.

export interface Random {
  readonly seed: number;
  /** From 0 up to, not including, `below`. */
  whole(below: number): number;
  /** True this often, of 1. */
  chance(share: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
}

/** Mulberry32: 32 bits of state, plenty for choosing what a test does next. */
export function random(seed = Number(process.env.CHAT_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 32))): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (below: number) => Math.floor(next() * below);
  return {
    seed,
    whole,
    chance: (share) => next() < share,
    pick(items) {
      const item = items[whole(items.length)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
  };
}
