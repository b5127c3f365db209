// One node's ear: a connection that hears the channels of signals, and knows whether it does. Every second each channel's
// server is sent a pulse that only this node hears: silence means that the way there or back is cut. A connection that stays
// silent is given up for a new one, whatever the driver thinks of it.
import type { Clock } from '../../ports/clock.ts';
import type { NodeId } from '../../ports/signals.ts';
import type { Millis } from '../../protocol/ids.ts';
import type { RedisClient } from './connection.ts';
import { shardsOf } from './shards.ts';

const PULSE_MS = 1_000;
/** Three pulses lost. */
const CUT_MS = 3_500;

/** Sharded pub/sub channels of one hash tag. */
export interface Channel {
  /** What all nodes hear. */
  readonly name: string;
  /** What this node alone hears. */
  readonly pulse: string;
  /** Whether the last message to it was taken. */
  isTaking: boolean;
  heardMs: Millis;
}

export interface HearingOptions {
  readonly client: RedisClient;
  /** A new connection, not open yet. */
  connect(): RedisClient;
  readonly clock: Clock;
  readonly node: NodeId;
  onMessage(json: string): void;
  /** Told once for each time other nodes cannot be heard. */
  onFault(error: unknown): void;
}

export class Hearing {
  /** The node's own first: what it publishes goes there while that takes it. */
  readonly channels: readonly Channel[];
  readonly #options: HearingOptions;
  readonly #stopPulse: () => void;
  #connection: RedisClient;
  #connectedMs: Millis;
  #wasSilent = true;
  /** Of the connection or of a pulse; what the fault says. */
  #lastError: unknown;

  constructor(options: HearingOptions) {
    const { client, clock, node } = options;
    this.#options = options;
    this.channels = channelsOf(client, node);
    this.#connection = this.#connect();
    this.#connectedMs = clock.monotonic();
    this.#stopPulse = clock.every(PULSE_MS, () => this.#onPulse());
  }

  /** One way or the other. */
  get isCut(): boolean {
    return this.#isSilent || this.channels.some(({ isTaking }) => !isTaking);
  }

  get #isSilent(): boolean {
    const now = this.#options.clock.monotonic();
    return this.channels.some(({ heardMs }) => now - heardMs > CUT_MS);
  }

  close(): void {
    this.#stopPulse();
    letGo(this.#connection);
  }

  #connect(): RedisClient {
    const connection = this.#options.connect();
    connection.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    connection.on('ready', () => void this.#subscribe(connection));
    connection.on('smessage', (channel: string, json: string) => this.#onMessage(channel, json));
    connection.connect().catch((error: unknown) => {
      this.#lastError = error;
    });
    return connection;
  }

  async #subscribe(connection: RedisClient): Promise<void> {
    try {
      await Promise.all(this.channels.map((channel) => subscribeTo(connection, channel)));
      this.#pulse();
    } catch (error) {
      this.#lastError = error;
    }
  }

  #onMessage(channel: string, json: string): void {
    const pulsed = this.channels.find(({ pulse }) => pulse === channel);
    if (pulsed === undefined) return this.#options.onMessage(json);
    pulsed.heardMs = this.#options.clock.monotonic();
  }

  #onPulse(): void {
    this.#pulse();
    this.#noteSilence();
    const now = this.#options.clock.monotonic();
    if (!this.#wasSilent) return;
    if (now - this.#connectedMs < CUT_MS) return void this.#subscribe(this.#connection);
    letGo(this.#connection);
    this.#connection = this.#connect();
    this.#connectedMs = now;
  }

  #pulse(): void {
    for (const channel of this.channels) {
      this.#options.client.spublish(channel.pulse, '').then(
        () => {
          channel.isTaking = true;
        },
        (error: unknown) => {
          channel.isTaking = false;
          this.#lastError = error;
        },
      );
    }
  }

  #noteSilence(): void {
    const isSilent = this.#isSilent;
    if (isSilent && !this.#wasSilent) {
      this.#options.onFault(new Error('signals of other nodes are not heard', { cause: this.#lastError }));
    }
    this.#wasSilent = isSilent;
  }
}

/** Nodes spread over the channels, as a Redis Cluster spreads the channels over its servers. */
function channelsOf(client: RedisClient, node: NodeId): readonly Channel[] {
  const { all, of } = shardsOf(client, 'signals', (prefix) => newChannel(prefix, node));
  const own = of(node);
  return [own, ...all.filter((channel) => channel !== own)];
}

/** Never throws, as the driver does while it does not know a Redis Cluster's slots. */
async function subscribeTo(connection: RedisClient, { name, pulse }: Channel): Promise<void> {
  await connection.ssubscribe(name, pulse);
}

function newChannel(prefix: string, node: NodeId): Channel {
  const heardMs = Number.NEGATIVE_INFINITY;
  return { name: `${prefix}all`, pulse: `${prefix}pulse:${node}`, isTaking: true, heardMs };
}

/** Its last errors are nobody's any more. */
function letGo(connection: RedisClient): void {
  connection.removeAllListeners('ready');
  connection.removeAllListeners('smessage');
  connection.disconnect();
}
