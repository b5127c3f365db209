// Who is typing where: told at most every 3 s, and ended by the server after 6 s of silence: by the node that has the
// typist, or by those that have heard of it, where that node is no more or its word was lost.
import type { Clock } from '../ports/clock.ts';
import type { NodeId, Signal, Signals } from '../ports/signals.ts';
import type { ConvId, Millis, UserId } from '../protocol/ids.ts';
import { TYPING_ENDS_MS, TYPING_EVERY_MS } from '../protocol/limits.ts';

const LOOK_EVERY_MS = 500;
/** What another node is given to end its typists itself: its looks, and the way here. */
const OTHER_ENDS_MS = TYPING_ENDS_MS + 2_000;

interface Typist {
  readonly conv: ConvId;
  readonly user: UserId;
  /** What was told last. One who has stopped is kept until typing may be told of again. */
  isOn: boolean;
  toldMs: Millis;
  endsMs: Millis;
}

export class Typing {
  readonly #signals: Signals;
  readonly #clock: Clock;
  readonly #typists = new Map<string, Typist>();
  /** Cancels the look after the silent; null while nobody types. */
  #cancel: (() => void) | null = null;
  readonly #unsubscribe: () => void;

  constructor(signals: Signals, clock: Clock) {
    this.#signals = signals;
    this.#clock = clock;
    this.#unsubscribe = signals.subscribe((signal, from) => this.#onSignal(signal, from));
  }

  /** A member says it types, or has stopped. */
  onTyping(conv: ConvId, user: UserId, on: boolean): void {
    const key = `${conv} ${user}`;
    const now = this.#clock.monotonic();
    const typist = this.#typists.get(key);
    if (!on) {
      if (typist?.isOn) this.#tellOff(typist);
      return;
    }
    if (typist?.isOn) typist.endsMs = now + TYPING_ENDS_MS;
    if (typist !== undefined && now - typist.toldMs < TYPING_EVERY_MS) return;
    this.#remember({ conv, user, isOn: true, toldMs: now, endsMs: now + TYPING_ENDS_MS });
    this.#signals.publish({ is: 'typing', conv, user, on: true });
  }

  stop(): void {
    this.#unsubscribe();
    this.#cancel?.();
  }

  /** Told by another node counts as told. */
  #onSignal(signal: Signal, from: NodeId): void {
    if (signal.is !== 'typing' || from === this.#signals.node) return;
    const { conv, user, on } = signal;
    const now = this.#clock.monotonic();
    this.#remember({ conv, user, isOn: on, toldMs: now, endsMs: now + OTHER_ENDS_MS });
  }

  #remember(typist: Typist): void {
    this.#typists.set(`${typist.conv} ${typist.user}`, typist);
    this.#cancel ??= this.#clock.after(LOOK_EVERY_MS, () => this.#endSilent());
  }

  #endSilent(): void {
    const now = this.#clock.monotonic();
    for (const [key, typist] of this.#typists) {
      if (typist.isOn && typist.endsMs <= now) this.#tellOff(typist);
      if (!typist.isOn && now - typist.toldMs >= TYPING_EVERY_MS) this.#typists.delete(key);
    }
    const isQuiet = this.#typists.size === 0;
    this.#cancel = isQuiet ? null : this.#clock.after(LOOK_EVERY_MS, () => this.#endSilent());
  }

  #tellOff(typist: Typist): void {
    typist.isOn = false;
    this.#signals.publish({ is: 'typing', conv: typist.conv, user: typist.user, on: false });
  }
}
