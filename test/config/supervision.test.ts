// The parts of the supervisor that need no process.
import t from 'tap';
import { Backoff } from '../../src/main/backoff.ts';
import { mergeExpositions } from '../../src/main/exposition.ts';

t.test('what keeps dying young is waited for twice as long each time, 10 seconds at most', async (t) => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 10 }, () => backoff.after(50));
  t.same(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
});

t.test('a life of a minute starts the waits anew, one that is shorter does not', async (t) => {
  const backoff = new Backoff();
  const waits = [0, 0, 59_999, 60_000, 0].map((livedMs) => backoff.after(livedMs));
  t.same(waits, [100, 200, 400, 100, 200]);
});

t.test('metrics of several workers are one text: families once, series with their worker', async (t) => {
  const text = (value: number) => `# HELP a_total What it is.
# TYPE a_total counter
a_total ${value}

# HELP b Latency.
# TYPE b histogram
b_bucket{le="0.1",x="} 1"} ${value}
b_bucket{le="+Inf"} ${value}
b_sum{} 0.5
`;
  const texts = new Map([
    [1, text(10)],
    [2, `${text(20)}# HELP c Only here.\n# TYPE c gauge\nc NaN\n`],
  ]);
  t.equal(
    mergeExpositions(texts),
    `# HELP a_total What it is.
# TYPE a_total counter
a_total{worker="1"} 10
a_total{worker="2"} 20

# HELP b Latency.
# TYPE b histogram
b_bucket{worker="1",le="0.1",x="} 1"} 10
b_bucket{worker="1",le="+Inf"} 10
b_sum{worker="1"} 0.5
b_bucket{worker="2",le="0.1",x="} 1"} 20
b_bucket{worker="2",le="+Inf"} 20
b_sum{worker="2"} 0.5

# HELP c Only here.
# TYPE c gauge
c{worker="2"} NaN
`,
  );
});
