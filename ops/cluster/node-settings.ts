// What a node of a cluster on this machine is given, beside what its user has in the environment.
import { readConfig } from '../../src/config.ts';
import { keptSecret } from '../service/records.ts';

/** Several nodes cannot share a port for metrics; each answers `/metrics` on its own. */
export function nodeSettings(port: number): Readonly<Record<string, string>> {
  return { ...placeSettings(port), ...(hasSecret() ? {} : { CHAT_SECRET: keptSecret() }) };
}

/** As the nodes will read them; nothing is made for it. @throws StartError with one line a fault */
export function checkedSettings(): { readonly drainTimeMs: number } {
  const secret = hasSecret() ? {} : { CHAT_SECRET: 'to be made and kept with the data' };
  return readConfig({ ...process.env, ...placeSettings(0), ...secret });
}

function placeSettings(port: number): Readonly<Record<string, string>> {
  return {
    CHAT_MODE: 'cluster',
    CHAT_HOST: '127.0.0.1',
    CHAT_PORT: String(port),
    CHAT_METRICS_PORT: '',
    CHAT_TRUST_PROXY: '127.0.0.1/32',
  };
}

/** Who has a secret keeps it; the others get one that lives as long as the data. */
function hasSecret(): boolean {
  return Boolean(process.env.CHAT_SECRET || process.env.CHAT_SECRET_FILE);
}
