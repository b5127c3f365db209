// What somebody has begun to write, for each conversation, kept over reloads. Goes with the account.

const PREFIX = 'chatterbox.draft.';

export function readDraft(conv: string): string {
  return localStorage.getItem(PREFIX + conv) ?? '';
}

export function keepDraft(conv: string, text: string): void {
  if (text === '') localStorage.removeItem(PREFIX + conv);
  else localStorage.setItem(PREFIX + conv, text);
}

export function dropDrafts(): void {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  for (const key of keys) localStorage.removeItem(key);
}
