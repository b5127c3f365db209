export { Marks, type Numbers } from './marks.ts';
