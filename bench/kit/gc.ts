// A full garbage collection in a running process: SIGUSR1 opens its inspector (on any free port, by
// `--inspect-port=0`), the DevTools protocol collects. The inspector's own memory is a constant; take slopes.
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Child } from './child.ts';

export const INSPECTABLE = '--inspect-port=0';

async function inspectorUrl(child: Child): Promise<string> {
  child.signal('SIGUSR1');
  for (let attempt = 0; attempt < 200; attempt++) {
    const found = /Debugger listening on (ws:\S+)/.exec(child.errors);
    if (found?.[1] !== undefined) return found[1];
    await delay(25);
  }
  throw new Error('the inspector did not open');
}

export async function collectGarbage(child: Child): Promise<void> {
  const inspector = new WebSocket(await inspectorUrl(child));
  await new Promise((resolve, reject) => inspector.once('open', resolve).once('error', reject));
  for (const id of [1, 2, 3]) {
    inspector.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }));
    await new Promise((resolve) => inspector.once('message', resolve));
  }
  inspector.close();
  await new Promise((resolve) => inspector.once('close', resolve));
}
