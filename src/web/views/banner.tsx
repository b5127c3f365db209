// Says when the connection is away for longer than a hiccup, and what becomes of what one writes meanwhile.
import { useEffect, useState } from 'preact/hooks';
import { hasNetwork } from '../store/attention.ts';
import { useCell } from '../store/cell.ts';
import { useAccount } from './context.ts';

/** A short break is nobody's business. */
const PATIENCE_MS = 1_000;

const REASONS: Readonly<Record<string, string>> = {
  4501: 'This page and the server do not understand each other. Load the page again.',
  4502: 'The server did not wait for this page to sign in.',
  4504: 'You are connected too many times. Close other windows.',
};

export function Banner() {
  const { chat, news } = useAccount();
  useCell(news.state);
  const { state, reason = '' } = chat;
  const isAway = !useCell(hasNetwork) || state !== 'online';
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    if (!isAway) return setShown(false);
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isAway]);
  return (
    <div role="status">
      {isShown && isAway && (
        <p class="banner">
          <span>
            {state === 'closed'
              ? (REASONS[reason] ?? 'The connection has ended.')
              : 'No connection. What you write is kept, and sent when it is back.'}
          </span>
          {(state === 'offline' || state === 'closed') && (
            <button type="button" class="link" onClick={() => chat.wake()}>
              Try now
            </button>
          )}
        </p>
      )}
    </div>
  );
}
