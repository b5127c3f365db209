// Loaded before a server: tells of every hashing of a password by what it costs, so that a test can compare work instead of
// time.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const { argon2 } = crypto;

crypto.argon2 = (algorithm, parameters, callback) => {
  const { memory, passes, parallelism, tagLength } = parameters;
  process.stderr.write(`hashing ${JSON.stringify({ algorithm, memory, passes, parallelism, tagLength })}\n`);
  return argon2(algorithm, parameters, callback);
};
syncBuiltinESMExports();
