// Proves before every run that the generator's counting can fail: frames cut at every byte are read whole, and a
// dropped, a repeated and a late delivery are each noticed. A bench whose checker is broken does not start.
import { strict as assert } from 'node:assert';
import { Histogram } from './histogram.ts';
import { Cursor, Ledger } from './ledger.ts';
import { FrameReader, maskedFrame } from './wire.ts';

function countsOf(seqs: readonly number[], head: number) {
  const ledger = new Ledger();
  const cursor = new Cursor(0);
  for (const seq of seqs) ledger.see(cursor, seq);
  ledger.reckon([['c', cursor]], { c: head });
  const { delivered, repeated, reordered, lost } = ledger;
  return { delivered, repeated, reordered, lost };
}

function checkLedger(): void {
  assert.deepEqual(countsOf([1, 2, 3], 3), { delivered: 3, repeated: 0, reordered: 0, lost: 0 });
  assert.deepEqual(countsOf([1, 3], 3), { delivered: 2, repeated: 0, reordered: 0, lost: 1 });
  assert.deepEqual(countsOf([1, 2], 4), { delivered: 2, repeated: 0, reordered: 0, lost: 2 });
  assert.deepEqual(countsOf([1, 2, 2, 3], 3), { delivered: 4, repeated: 1, reordered: 0, lost: 0 });
  assert.deepEqual(countsOf([1, 3, 2], 3), { delivered: 3, repeated: 0, reordered: 1, lost: 0 });
}

function checkPulls(): void {
  const ledger = new Ledger();
  const cursor = new Cursor(0);
  ledger.see(cursor, 1);
  for (const seq of [2, 4]) ledger.pull(cursor, seq);
  ledger.cover(cursor, 6);
  ledger.see(cursor, 7);
  ledger.reckon([['c', cursor]], { c: 7 });
  const { delivered, pulled, repeated, reordered, lost } = ledger;
  const expected = { delivered: 2, pulled: 2, repeated: 0, reordered: 0, lost: 3 };
  assert.deepEqual({ delivered, pulled, repeated, reordered, lost }, expected);
}

function serverFrame(payload: string): Buffer {
  const data = Buffer.from(payload);
  const header = data.length < 126 ? [0x81, data.length] : [0x81, 126, data.length >> 8, data.length & 0xff];
  return Buffer.concat([Buffer.from(header), data]);
}

function checkReader(): void {
  const texts = ['{}', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(400)];
  const stream = Buffer.concat(texts.map(serverFrame));
  for (let cut = 0; cut <= stream.length; cut++) {
    const seen: string[] = [];
    const reader = new FrameReader((_op, data, start, end) => seen.push(data.toString('latin1', start, end)));
    reader.read(stream.subarray(0, cut));
    reader.read(stream.subarray(cut));
    assert.deepEqual(seen, texts);
  }
}

function checkMask(): void {
  const frame = maskedFrame('hello there');
  const mask = frame.subarray(2, 6);
  const clear = frame.subarray(6).map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  assert.equal(Buffer.from(clear).toString(), 'hello there');
}

function checkHistogram(): void {
  const histogram = new Histogram();
  for (let us = 1; us <= 1_000; us++) histogram.add(us);
  assert.ok(Math.abs(histogram.quantile(0.99) - 990) < 30);
}

export function checkGenerator(): void {
  checkLedger();
  checkPulls();
  checkReader();
  checkMask();
  checkHistogram();
}
