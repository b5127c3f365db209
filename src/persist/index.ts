export { Partitions } from './partitions.ts';
export { Persister } from './persister.ts';
