// Time, so that tests can own it.
//
// Laws
//  1. `now` is wall time in ms; `monotonic` never goes back.
//  2. `every` and `after` call until cancelled; neither keeps the process alive.
import type { Millis } from '../protocol/ids.ts';

export interface Clock {
  now(): Millis;
  monotonic(): Millis;
  every(ms: Millis, call: () => void): () => void;
  after(ms: Millis, call: () => void): () => void;
}
