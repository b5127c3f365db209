// The faults that were promised to be harmless, what must hold, and which tests prove it. A row without tests says what it
// waits for.

export interface Row {
  readonly fault: string;
  readonly what: string;
  readonly mustHold: string;
  /** Test files, from the root. */
  readonly files: readonly string[];
  /** Schedules do it, too, in these modes. */
  readonly schedules?: 'embedded' | 'cluster' | 'both';
  readonly comesWith?: string;
}

const f = (...names: readonly string[]) => names.map((name) => `test/faults/${name}.test.ts`);
const contract = (...names: readonly string[]) => names.map((name) => `test/contract/${name}.test.ts`);
const e2e = (...names: readonly string[]) => names.map((name) => `test/e2e/${name}.test.ts`);

export const MATRIX: readonly Row[] = [
  {
    fault: 'F1',
    what: 'kill -9 of a node at random, and at named points',
    mustHold: 'all checks; clients back within 5 s',
    files: f('kill', 'named-points', 'cluster-kill-node', 'cluster-named-points', 'schedules'),
    schedules: 'both',
  },
  {
    fault: 'F2',
    what: 'kill -9 of Redis',
    mustHold: 'nothing lost; sends meanwhile `unavailable`',
    files: f('cluster-kill-redis', 'cluster-waiting'),
    schedules: 'cluster',
  },
  {
    fault: 'F3',
    what: 'power loss of Redis and of the embedded SQLite',
    mustHold: 'nothing acknowledged lost; with `everysec` the checker finds the loss',
    files: [...f('power-loss', 'cluster-power-loss', 'checker'), ...contract('log-sqlite')],
  },
  {
    fault: 'F4',
    what: 'Redis starts empty or with an older file',
    mustHold: 'a new epoch; no number given twice; clients get `reset`',
    files: [...f('cluster-redis-emptied', 'cluster-same-send', 'folder'), ...contract('log-redis-start')],
    schedules: 'cluster',
  },
  {
    fault: 'F5',
    what: 'mongod killed, or stopped for long under load',
    mustHold: 'sends go on; memory and log bounded, then `overloaded`; lag drains to 0; nothing twice',
    files: f('cluster-kill-mongod', 'cluster-stopped-services', 'cluster-backpressure', 'backpressure'),
    schedules: 'cluster',
  },
  {
    fault: 'F6',
    what: 'disk full under Redis, under SQLite',
    mustHold: 'no `ok` without disk; reads go on; recovers once there is space',
    files: f('disk-full', 'cluster-disk-full'),
  },
  {
    fault: 'F7',
    what: 'fsync takes 2 s, or fails',
    mustHold: 'late, but in order and once',
    files: f('disk-errors', 'cluster-slow-disk'),
  },
  {
    fault: 'F8',
    what: 'network between node and Redis: cut both ways, one way, slow, flapping, 1-byte slices, resets',
    mustHold: '`unavailable` within 3 s; gaps filled after; no stale node keeps pretending',
    files: [...f('cluster-cut-network', 'cluster-late-node'), ...contract('log-redis-connection')],
    schedules: 'cluster',
  },
  {
    fault: 'F9',
    what: 'two persisters believe they own a part',
    mustHold: 'the store takes every change once',
    files: [...f('cluster-paused-node'), ...contract('store-mongo')],
  },
  {
    fault: 'F10',
    what: 'poison in the log: bad JSON, bad UTF-8, megabytes, entries that are none',
    mustHold: 'the rest is stored; it is set aside and seen in metrics',
    files: [...f('cluster-poison'), ...contract('log-redis-reader', 'store-mongo')],
  },
  {
    fault: 'F11',
    what: 'a slow reader, and 1,000 of them',
    mustHold: 'memory bounded; others unaffected; `behind`, then complete',
    files: [...f('slow-readers'), ...e2e('slow-reader')],
    schedules: 'embedded',
  },
  {
    fault: 'F12',
    what: 'rolling restart of all nodes under load',
    mustHold: 'nothing lost, one reconnect each, no error seen; a second SIGTERM is harmless',
    files: [...f('cluster-rolling-restart'), ...e2e('goodbye', 'drain')],
    schedules: 'both',
  },
  {
    fault: 'F13',
    what: 'old and new version share the log',
    mustHold: 'unknown types of changes are skipped, never a crash',
    files: f('versions'),
  },
  {
    fault: 'F14',
    what: 'reconnect storm',
    mustHold: 'P8 of `npm run bench`',
    files: e2e('storms'),
  },
  {
    fault: 'F15',
    what: 'the same send 1-5 times: in parallel, on two nodes, after restarts, refresh, the window',
    mustHold: 'one `seq`, the first answer',
    files: [...f('cluster-same-send'), ...e2e('exactly-once'), ...contract('log-redis-keys')],
    schedules: 'both',
  },
  {
    fault: 'F16',
    what: 'clock of one node an hour off',
    mustHold: 'order kept; tokens sane',
    files: f('cluster-clocks'),
  },
  {
    fault: 'F17',
    what: 'object store down mid-upload; clients that give up',
    mustHold: 'no half file visible, no orphan, no leak',
    files: [],
    comesWith: 'files',
  },
  {
    fault: 'F18',
    what: 'scanner down, slow, cut mid-stream',
    mustHold: 'the file stays pending, never served',
    files: [],
    comesWith: 'files',
  },
  {
    fault: 'F19',
    what: 'the Redis of limits gone',
    mustHold: 'limits of the process; login, refresh stay limited',
    files: f('cluster-limits-alone'),
  },
  {
    fault: 'F20',
    what: 'exception in a handler; heap limit; file descriptors used up',
    mustHold: 'one request fails, or a clean restart; existing clients live',
    files: [...f('exhaustion'), 'test/config/process.test.ts', 'test/config/supervision.test.ts'],
  },
  {
    fault: 'F21',
    what: 'embedded: kill -9 200 times while writing; a second process on the folder',
    mustHold: 'all checks; `data_in_use`, exit 2',
    files: f('kill', 'folder'),
    schedules: 'embedded',
  },
  {
    fault: 'F22',
    what: 'backup taken while running, restored by our command',
    mustHold: 'complete to a point; new epoch; clients `reset`',
    files: [],
    comesWith: 'backup',
  },
  {
    fault: 'F23',
    what: 'Redis comes back a few entries short while nodes have seen them',
    mustHold: 'noticed before the first new append; new epoch for that part only',
    files: [...f('cluster-short-log'), ...contract('log-redis-recovery', 'log-redis-cluster')],
    schedules: 'cluster',
  },
  {
    fault: 'F24',
    what: 'a node stopped past trimming and its lease, then continued',
    mustHold: 'it notices, its clients are complete',
    files: f('cluster-paused-node'),
    schedules: 'cluster',
  },
];
