// Loaded before src/main.ts (`node --import`): on SIGUSR2 the heap grows until there is no more.
const eaten: unknown[] = [];

process.on('SIGUSR2', () => {
  for (;;) eaten.push(Array.from({ length: 10_000 }, (_, index) => ({ index })));
});
