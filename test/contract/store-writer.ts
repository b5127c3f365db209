// A process that applies a history to a store until it is killed: arguments FILE SEED COUNT.
// It begins where the store is, and prints the watermark after each batch that resolved.
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { after, randomBatches, randomChanges } from './store-model.ts';

const [file, seed, count] = process.argv.slice(2);
const changes = randomChanges(Number(seed), Number(count));
const { messages, close } = await openSqliteStore({ file: String(file) });
const [start = 0] = await messages.watermark();
for (const batch of randomBatches(start, changes.slice(start))) {
  await messages.apply(batch, after(batch));
  process.stdout.write(`${after(batch)}\n`);
}
await close();
