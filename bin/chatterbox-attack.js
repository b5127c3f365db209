#!/usr/bin/env node
// The load test of any deployment (bench/README.md), by a name that npx finds.
import('../bench/autocannon/main.ts').catch((error) => {
  if (error.code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
  process.stderr.write('chatterbox-attack: needs Node 24.15 or newer; "npm ci" brings one, then "npm run attack --"\n');
  process.exitCode = 2;
});
