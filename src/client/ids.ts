// Ids of requests: UUIDv7 (RFC 9562 section 5.7), so that the server can tell by their time which are fresh. They need to be
// unlike each other, not secret: an id is a key among those of one user in one conversation.

/** @param now server time, ms @param random from 0 up to, not including, 1 */
export function uuidv7(now: number, random: () => number): string {
  // Eleven digits from 2004 to 2527.
  const time = `0${Math.trunc(now).toString(16)}`;
  const chance = () => Math.trunc(random() * 16).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7xxx-8xxx-xxxxxxxxxxxx`.replace(/x/g, chance);
}
