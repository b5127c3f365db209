// Times, names and failures in words.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dateOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const longDate = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const list = new Intl.ListFormat('en', { type: 'conjunction' });

const DAY_MS = 86_400_000;

/** Days between a time and today, by the calendar of who looks. */
function daysAgo(at: number): number {
  return Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / DAY_MS);
}

export const time = (at: number) => clock.format(at);
/** Without AM and PM, for where there is room for little. */
export const bareTime = (at: number) =>
  clock
    .formatToParts(at)
    .flatMap(({ type, value }) => (type === 'dayPeriod' ? [] : [value]))
    .join('')
    .trim();
export const moment = (at: number) => full.format(at);
export const names = (all: readonly string[]) => list.format(all);

/** As short as a list has room for. */
export function shortTime(at: number): string {
  const days = daysAgo(at);
  if (days <= 0) return clock.format(at);
  if (days === 1) return 'Yesterday';
  if (days < 7) return weekday.format(at);
  return (days < 300 ? date : dateOfYear).format(at);
}

export function day(at: number): string {
  const days = daysAgo(at);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return days < 300 ? longDate.format(at) : full.format(at).replace(/,? [^,]*$/, '');
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
