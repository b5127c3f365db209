// The process's metrics in Prometheus text format: what Counters and the parts say of themselves, read when asked.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type Counters, LATENCY_BUCKETS_MS } from './counters.ts';

export interface Gauges {
  connections(): number;
  outboxBytes(): number;
  tailLength(): number;
  tailBytes(): number;
  /** Changes the log holds that the store does not. */
  watermarkLag(): number;
  /** Entries in the log that somebody else has put there, taken out. */
  foreignEntries(): number;
}

export interface Metrics {
  text(): Promise<{ readonly type: string; readonly body: string }>;
}

export function createMetrics(counters: Counters, gauges: Gauges): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number) => {
    const metric: Gauge = new Gauge({ name, help, registers: [registry], collect: () => metric.set(read()) });
  };
  const counter = (name: string, help: string, read: () => number) => {
    const metric: Counter<string> = new Counter({
      name,
      help,
      registers: [registry],
      collect: () => {
        metric.reset();
        metric.inc(read());
      },
    });
  };
  const labelled = (name: string, help: string, label: string, read: () => ReadonlyMap<string | number, number>) => {
    const metric: Counter<string> = new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect: () => {
        metric.reset();
        for (const [value, count] of read()) metric.inc({ [label]: String(value) }, count);
      },
    });
  };
  gauge('chat_connections', 'Open WebSocket connections.', gauges.connections);
  gauge('chat_outbox_bytes', 'Bytes waiting in the outboxes of all connections.', gauges.outboxBytes);
  gauge('chat_tail_changes', 'Changes held in memory.', gauges.tailLength);
  gauge('chat_tail_bytes', 'Bytes of the changes held in memory.', gauges.tailBytes);
  gauge('chat_watermark_lag_changes', 'Changes in the log that the store does not hold yet.', gauges.watermarkLag);
  counter('chat_changes_appended_total', 'Changes made durable.', () => counters.appended);
  counter('chat_poisoned_total', 'Changes the store can never take, set aside.', () => counters.poisoned);
  counter('chat_foreign_entries_total', 'Entries put into the log by others, taken out.', gauges.foreignEntries);
  counter('chat_repeats_total', 'Repeated requests answered with their first answer.', () => counters.repeated);
  counter('chat_reauthorised_total', 'Appends the guard refused, authorised again.', () => counters.reauthorised);
  counter('chat_changes_delivered_total', 'Changes handed to connections.', () => counters.delivered);
  counter('chat_behind_total', 'Times a connection was told to pull a conversation.', () => counters.behind);
  counter('chat_ephemeral_dropped_total', 'Ephemeral frames dropped for slow connections.', () => counters.dropped);
  counter('chat_limiter_refused_total', 'Requests refused by the token bucket.', () => counters.refusedByLimiter);
  labelled('chat_closes_total', 'Connections closed by the server.', 'code', () => counters.closed);
  labelled('chat_errors_total', 'Error answers and socket errors.', 'code', () => counters.errors);
  return {
    text: async () => ({
      type: registry.contentType,
      body: `${await registry.metrics()}\n${ackHistogram(counters)}`,
    }),
  };
}

/** Written by hand: the counting itself is too hot for a library's histogram. */
function ackHistogram({ ackMs }: Counters): string {
  const name = 'chat_ack_seconds';
  const lines = [`# HELP ${name} From the turn a write arrived in to its durable answer.`, `# TYPE ${name} histogram`];
  let below = 0;
  for (const [index, boundMs] of LATENCY_BUCKETS_MS.entries()) {
    below += ackMs.counts[index] ?? 0;
    lines.push(`${name}_bucket{le="${boundMs / 1_000}"} ${below}`);
  }
  lines.push(
    `${name}_bucket{le="+Inf"} ${ackMs.count}`,
    `${name}_sum ${ackMs.sum / 1_000}`,
    `${name}_count ${ackMs.count}`,
  );
  return `${lines.join('\n')}\n`;
}
