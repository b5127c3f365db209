// One socket after another: token, welcome, hello, ready; when it ends, whether and when the next one is tried. Owns all
// waiting for the network. No timer runs while it is online and nothing is asked, but for a token whose end is known.
import type { Ready } from '../protocol/answers.ts';
import { uuidv7 } from './ids.ts';
import { createRequests } from './requests.ts';
import type { AccessToken, BareEvent, ChatState, Clock, ConnectOptions, Socket } from './types.ts';

/** No frame for this long while something is awaited: the connection is dead, whatever the system says. */
const SILENCE_MS = 15_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Who was online this long begins again with the shortest wait. */
const STABLE_MS = 10_000;
/** The longest wait a timer takes: more than 2^31-1 ms counts as none. */
const MAX_WAIT_MS = 2e9;
/** The token is renewed so long before it ends, at the earliest after half its time. */
const RENEW_BEFORE_MS = 20_000;
const INVALID_TOKEN = 4500;
const TOO_LARGE = { t: 'error', code: 'too_large', message: 'too_large' };

export interface Frame {
  readonly t: string;
  readonly [field: string]: unknown;
}

export interface Peer {
  /** What hello says beside token, device and wants. */
  greeting(): object;
  /** Called in the state before. */
  onReady(ready: Ready): void;
  onFrame(frame: Frame): void;
  emit(event: BareEvent): void;
}

export interface Shown {
  state: ChatState;
  reason?: string | undefined;
}

/** @param shown where state and reason are kept */
export function createConnection(
  options: ConnectOptions,
  clock: Clock,
  random: () => number,
  shown: Shown,
  peer: Peer,
) {
  // Where there is none this throws, out of `connect`, and is not taken for a network that fails.
  const { url, device, want, WebSocket: Constructor = WebSocket } = options;
  const requests = createRequests(clock, random, newId, send);
  /** The server's clock is ahead of ours by this. */
  let aheadMs = 0;
  let socket: Socket | undefined;
  let attempt = 0;
  let helloId = '';
  let expiresIn: number | undefined;
  let maxFrameBytes: number;
  let failures = 0;
  let refusedTokens = 0;
  let onlineAt = 0;
  let heardAt = 0;
  /** What ends the one wait there is: for the next attempt, or for the token's renewal. */
  let endWait = () => {};
  let endWatch: (() => void) | undefined;

  function now(): number {
    return clock.now() + aheadMs;
  }

  function newId(): string {
    return uuidv7(now(), random);
  }

  /** Makes the next attempt. */
  function open(): void {
    endWait();
    const own = ++attempt;
    turn('connecting');
    askToken().then(
      (token) => own === attempt && connect(token),
      (error) => {
        if (own !== attempt) return;
        if (error?.code === 'invalid_token') end('invalid_token');
        else retry('token');
      },
    );
  }

  /** Ends it for good. */
  function end(reason: string): void {
    letGo();
    turn('closed', reason);
  }

  function wake(): void {
    const { state, reason } = shown;
    if (state === 'online') requests.ask({ t: 'ping' }).catch(() => {});
    else if (state !== 'connecting' && reason !== 'closed') open();
  }

  /** Lost when there is no connection. What the server would close the connection for, each time anew, is refused here. */
  function send(frame: object): void {
    const text = JSON.stringify(frame);
    if (new TextEncoder().encode(text).length > maxFrameBytes)
      return requests.onAnswer({ ...TOO_LARGE, id: (frame as { readonly id: string }).id });
    socket?.send(text);
    if ('id' in frame) watch();
  }

  async function askToken(): Promise<string> {
    const token = (await options.token(refusedTokens > 0)) as AccessToken;
    ({ expiresIn } = token);
    // Else it is a string.
    return token.access ?? token;
  }

  function connect(token: string): void {
    const opened: Socket = new Constructor(url, 'chatterbox.v1');
    socket = opened;
    opened.onmessage = ({ data }) => onFrame(JSON.parse(data as string), token);
    opened.onclose = ({ code }) => onClose(code);
    opened.onerror = () => {};
    watch();
  }

  function onFrame(frame: Frame, token: string): void {
    heardAt = clock.now();
    if (frame.t === 'welcome') {
      aheadMs = (frame.now as number) - heardAt;
      maxFrameBytes = (frame.limits as { readonly frame: number }).frame;
      helloId = newId();
      send({ t: 'hello', id: helloId, token, device, want, ...peer.greeting() });
    } else if (frame.t === 'ready') onReady(frame as never);
    else if (frame.t === 'bye') retry('bye', frame.after as number);
    else if (frame.id === helloId) onHelloRefused(frame);
    else if (frame.id) requests.onAnswer(frame as never);
    else peer.onFrame(frame);
    if (shown.state === 'online' && requests.isIdle()) unwatch();
  }

  function onHelloRefused({ code, retry: isPassing, after }: Frame): void {
    if (code === 'invalid_token') onClose(INVALID_TOKEN);
    else if (isPassing) retry(code as string, after as number);
    else end(code as string);
  }

  function onReady(ready: Ready): void {
    refusedTokens = 0;
    onlineAt = heardAt;
    peer.onReady(ready);
    turn('online');
    requests.onUp();
    awaitExpiry();
  }

  function awaitExpiry(): void {
    if (!expiresIn) return;
    const ms = expiresIn * 1_000;
    endWait = clock.after(Math.min(Math.max(ms - RENEW_BEFORE_MS, ms / 2), MAX_WAIT_MS), renew);
  }

  /** Where it fails the server ends the connection, and the next one asks for a token again. */
  async function renew(): Promise<void> {
    const own = attempt;
    try {
      const token = await askToken();
      if (own !== attempt) return;
      await requests.ask({ t: 'renew', token });
      awaitExpiry();
    } catch {}
  }

  function onClose(code: number): void {
    if (code === INVALID_TOKEN && ++refusedTokens > 1) end('invalid_token');
    else if (code > INVALID_TOKEN) end(`${code}`);
    else retry(`${code}`);
  }

  /** Full jitter: any time up to a bound that doubles, so that those who were cut off together do not come together. */
  function retry(reason: string, afterMs?: number): void {
    if (shown.state === 'online' && clock.now() - onlineAt >= STABLE_MS) failures = 0;
    const boundMs = Math.min(FIRST_RETRY_MS * 2 ** failures++, MAX_RETRY_MS);
    letGo();
    endWait = clock.after(afterMs ?? boundMs * random(), open);
    turn('offline', reason);
  }

  function letGo(): void {
    attempt++;
    endWait();
    unwatch();
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
    socket = undefined;
    requests.onDown();
  }

  function turn(state: ChatState, reason?: string): void {
    shown.state = state;
    shown.reason = reason;
    peer.emit({ type: 'state', state, reason });
  }

  function watch(): void {
    const sinceMs = clock.now();
    endWatch ??= clock.after(SILENCE_MS, () => {
      endWatch = undefined;
      if (heardAt > sinceMs) watch();
      else retry('silent');
    });
  }

  function unwatch(): void {
    endWatch?.();
    endWatch = undefined;
  }

  return { requests, newId, now, open, end, wake, send };
}
