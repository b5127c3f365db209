#!/usr/bin/env node
// The load test of any deployment (bench/README.md), by a name that npx finds.
import('../bench/autocannon/main.ts').catch((error) => {
  const isOld = error.code === 'ERR_UNKNOWN_FILE_EXTENSION';
  if (!isOld && error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  const reason = isOld ? 'needs Node 24.15 or newer' : error.message.split('\n')[0];
  process.stderr.write(`chatterbox-attack: ${reason}; "npm ci" brings what is missing, then "npm run attack --"\n`);
  process.exitCode = 2;
});
