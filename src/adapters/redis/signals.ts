// Signals over sharded pub/sub (redis.io/docs/latest/develop/pubsub, "Sharded Pub/Sub"): a node publishes all signals of a
// turn as one message, in one of a few channels, and hears all of these. Its own subscribers get its signals without Redis.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';
import type { NodeId, OnSignal, Signal, Signals } from '../../ports/signals.ts';
import type { RedisClient } from './connection.ts';
import { Hearing } from './hearing.ts';
import { decodeMessage, encodeMessages } from './signal-messages.ts';

/** Messages Redis has not taken yet; what comes beyond is lost to other nodes. */
const MAX_UNTAKEN_CHARS = 16 * 1_048_576;
/** Publishers whose last number is remembered: many times the nodes there can be. */
const MAX_PUBLISHERS = 1_000;

export interface RedisSignalsOptions {
  /** Publishes. Commands of it time out soon (EPHEMERAL_TIMEOUT_MS). */
  readonly client: RedisClient;
  /** A new connection, not open yet, to hear by. */
  connect(): RedisClient;
  readonly clock: Clock;
  readonly node?: NodeId;
  /** Other nodes cannot be heard for now. */
  onFault(error: unknown): void;
}

export interface RedisSignals extends Signals {
  /** Sends what is waiting, and lets go of its own connection. */
  close(): Promise<void>;
}

export function redisSignals(options: RedisSignalsOptions): RedisSignals {
  return new SignalsNode(options);
}

class SignalsNode implements RedisSignals {
  readonly node: NodeId;
  readonly #client: RedisClient;
  readonly #hearing: Hearing;
  readonly #subscribers = new Set<OnSignal>();
  #waiting: Signal[] = [];
  #sent = 0;
  #untakenChars = 0;
  readonly #untaken = new Set<Promise<void>>();
  /** Number of the last message heard, by publisher; who was heard last is last. */
  readonly #heard = new Map<NodeId, number>();

  constructor({ client, connect, clock, onFault, node = randomUUID() }: RedisSignalsOptions) {
    this.node = node;
    this.#client = client;
    const onMessage = (json: string) => this.#onMessage(json);
    this.#hearing = new Hearing({ client, connect, clock, node, onMessage, onFault });
  }

  get isCut(): boolean {
    return this.#hearing.isCut;
  }

  publish(signal: Signal): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#sendTurn());
    this.#waiting.push(signal);
  }

  subscribe(onSignal: OnSignal): () => void {
    // A function of its own for each subscription: the same listener may subscribe twice.
    const listener: OnSignal = (signal, from) => onSignal(signal, from);
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
  }

  async close(): Promise<void> {
    this.#sendTurn();
    await Promise.all(this.#untaken);
    this.#hearing.close();
  }

  #sendTurn(): void {
    const signals = this.#waiting;
    this.#waiting = [];
    for (const json of encodeMessages(this.node, signals, () => ++this.#sent)) this.#send(json);
    this.#deliver(signals, this.node);
  }

  /** By any channel that takes messages: numbers keep their order. */
  #send(json: string): void {
    const channel = this.#hearing.channels.find(({ isTaking }) => isTaking);
    if (channel === undefined || this.#untakenChars + json.length > MAX_UNTAKEN_CHARS) return;
    this.#untakenChars += json.length;
    const taken: Promise<void> = this.#client
      .spublish(channel.name, json)
      .then(
        () => {},
        () => {
          channel.isTaking = false;
        },
      )
      .finally(() => {
        this.#untakenChars -= json.length;
        this.#untaken.delete(taken);
      });
    this.#untaken.add(taken);
  }

  #onMessage(json: string): void {
    const message = decodeMessage(json);
    if (message === null || message.from === this.node) return;
    const { from, n, signals } = message;
    if (n <= (this.#heard.get(from) ?? 0)) return;
    this.#heard.delete(from);
    this.#heard.set(from, n);
    if (this.#heard.size > MAX_PUBLISHERS) this.#heard.delete(this.#heard.keys().next().value as NodeId);
    this.#deliver(signals, from);
  }

  #deliver(signals: readonly Signal[], from: NodeId): void {
    for (const signal of signals) {
      for (const onSignal of [...this.#subscribers]) {
        if (this.#subscribers.has(onSignal)) tell(onSignal, signal, from);
      }
    }
  }
}

/** A subscriber that throws is a defect, which must stay loud and must not cost the others their signal. */
function tell(onSignal: OnSignal, signal: Signal, from: NodeId): void {
  try {
    onSignal(signal, from);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
