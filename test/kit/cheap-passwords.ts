// Loaded before src/main.ts (`node --import`), stands in the place of src/accounts/passwords.ts: passwords cost nothing, so
// that a test can have people by the hundred. Only for tests that are not about passwords.
import { registerHooks } from 'node:module';
import type { Passwords } from '../../src/accounts/passwords.ts';

registerHooks({
  resolve: (specifier, context, next) =>
    specifier.endsWith('/passwords.ts') ? { url: import.meta.url, shortCircuit: true } : next(specifier, context),
});

export function createPasswords(): Passwords {
  return {
    hash: async (password) => `plain ${password}`,
    verify: async (password, stored) => stored === `plain ${password}`,
  };
}
