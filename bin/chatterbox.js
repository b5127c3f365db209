#!/usr/bin/env node
// Starts the server, on a Node that can. Plain JavaScript without imports, so that any older Node can read it and say so.
const NEEDED = [24, 15];
const found = process.versions.node.split('.').map(Number);

function refuse(reason) {
  process.stderr.write(`chatterbox: ${reason}\n`);
  process.exitCode = 2;
}

if (found[0] > NEEDED[0] || (found[0] === NEEDED[0] && found[1] >= NEEDED[1])) {
  // Compiled code, types stripped, is kept beside the packages: the next start takes half the time.
  // The variable is for the worker threads.
  process.env.NODE_COMPILE_CACHE ??= `${import.meta.dirname}/../node_modules/.cache/compiled`;
  process.getBuiltinModule('node:module').enableCompileCache(process.env.NODE_COMPILE_CACHE);
  import('../src/main.ts').catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    refuse(`${error.message.split('\n')[0]}; run "npm ci" first`);
  });
} else {
  refuse(
    `needs Node ${NEEDED.join('.')} or newer, this is ${process.versions.node}; "npm ci" and then "npm start" ` +
      'bring their own on Linux, or get one at https://nodejs.org',
  );
}
