/**
 * How often the same is done again: as often as was promised under `npm run faults` and `npm run abuse`, which have time,
 * and in `npm test`, which is to end soon, a few times. What is checked is the same.
 */
export function often(promised: number, few: number): number {
  return process.env.CHAT_TEST_WHOLE === '1' ? promised : few;
}
