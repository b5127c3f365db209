export { type Pin, TailMemory } from './tail-memory.ts';
