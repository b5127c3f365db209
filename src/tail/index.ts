export { reachInTime } from './reach.ts';
export { type Pin, TailMemory } from './tail-memory.ts';
