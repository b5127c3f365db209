// A process that applies a history to a MongoDB store until it is ended: arguments URL SEED COUNT.
// It begins where the store is, and prints the watermark after each batch that resolved.
import { openMongoStore } from '../../src/adapters/mongo/store.ts';
import { after, randomBatches, randomChanges } from './store-model.ts';

const [url, seed, count] = process.argv.slice(2);
const changes = randomChanges(Number(seed), Number(count));
const { messages, close } = await openMongoStore({ url: String(url) });
const [start = 0] = await messages.watermark();
for (const batch of randomBatches(start, changes.slice(start), 12)) {
  await messages.apply(batch, after(batch));
  process.stdout.write(`${after(batch)}\n`);
}
await close();
