// Reads in waves: who calls while one is under way goes with the next, and gets what was read after the call.
import t from 'tap';
import { inWaves, shared } from '../../src/adapters/waves.ts';

/** A store of one number a key, and how often it was asked. */
function numbers() {
  const values = new Map<string, number>();
  const asked: (readonly string[])[] = [];
  let fails = false;
  const read = async (keys: readonly string[]) => {
    asked.push(keys);
    const found = keys.flatMap((key) => (values.has(key) ? [{ key, value: values.get(key) ?? 0 }] : []));
    await new Promise((resolve) => setImmediate(resolve));
    if (fails) throw new Error('away');
    return found;
  };
  return { values, asked, find: inWaves(read, ({ key }) => key), fail: (on: boolean) => (fails = on) };
}

t.test(
  'calls of one turn share one read, each with its own answer, and a key named twice is answered once',
  async (t) => {
    const { values, asked, find } = numbers();
    values.set('a', 1).set('b', 2);
    const answers = await Promise.all([find(['a']), find(['b', 'b', 'a']), find(['c']), find([])]);
    t.same(asked, [['a', 'b', 'c']]);
    t.same(
      answers.map((found) => found.map(({ value }) => value)),
      [[1], [2, 1], [], []],
    );
  },
);

t.test('every answer is from a read that began after its call, however the calls fall', async (t) => {
  const { values, asked, find } = numbers();
  let calls = 0;
  const client = async (key: string) => {
    for (let count = 1; count <= 200; count++) {
      values.set(key, count);
      calls++;
      const [found] = await find([key]);
      if (found?.value !== count) t.fail(`${key}: ${found?.value} after ${count}`);
      if (count % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(client));
  t.ok(asked.length < calls / 2, `${asked.length} reads for ${calls} calls`);
});

t.test('a read that fails is told to its callers, and the next one is made', async (t) => {
  const { values, find, fail } = numbers();
  values.set('a', 1);
  fail(true);
  await t.rejects(Promise.all([find(['a']), find(['a'])]), /away/);
  fail(false);
  t.same(await find(['a']), [{ key: 'a', value: 1 }]);
});

t.test('more keys than one read may name go in several', async (t) => {
  const { asked, find } = numbers();
  await Promise.all(Array.from({ length: 600 }, (_, index) => find([`key ${index}`])));
  t.equal(asked.length, 3);
  t.ok(asked.every(({ length }) => length <= 250));
  const many = Array.from({ length: 300 }, (_, index) => `key ${index}`);
  await find(many);
  t.same(asked.at(-1), many, 'but a single call is not cut');
});

t.test('a read that is the same for all is shared by those who ask while another is under way', async (t) => {
  let value = 0;
  let reads = 0;
  const read = shared(async () => {
    reads++;
    const seen = value;
    await new Promise((resolve) => setImmediate(resolve));
    if (seen < 0) throw new Error('away');
    return seen;
  });
  for (let count = 0; count < 100; count++) {
    const asked = Array.from({ length: 5 }, () => read());
    value++;
    const late = read();
    for (const answer of await Promise.all(asked)) t.ok(answer >= count);
    t.equal(await late, count + 1);
  }
  t.ok(reads <= 200, `${reads} reads`);
  value = -1;
  await t.rejects(read(), /away/);
  value = 7;
  t.equal(await read(), 7);
});
