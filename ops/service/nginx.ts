// nginx with the configuration of ops/nginx in front of nodes on this machine; only who listens and who answers is written here.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './cache.ts';
import { ask } from './launch.ts';

/** The same files as in docker-compose.yml; `listen.conf` and `nodes.conf` are the two that differ. */
const SHARED_FILES = ['nginx.conf', 'node.conf'];

/** @param nodes `host:port` of each */
export function writeNginxFiles(dir: string, port: number, nodes: readonly string[]): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const file of SHARED_FILES) copyFileSync(join(ROOT, 'ops/nginx', file), join(dir, file));
  writeFileSync(join(dir, 'listen.conf'), `listen 127.0.0.1:${port};\n`);
  const servers = nodes.map((node) => `server ${node} max_fails=1 fail_timeout=2s;\n`);
  writeFileSync(join(dir, 'nodes.conf'), servers.join(''));
}

export function nginxWords(dir: string): readonly string[] {
  return ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'];
}

/** Asks for what nginx answers itself: the nodes may come later. */
export async function isNginxReady(port: number): Promise<boolean> {
  return (await ask(port, 'GET /metrics HTTP/1.0\r\n\r\n', 3000)).startsWith('HTTP/');
}

export const nginxUrl = (port: number) => `http://127.0.0.1:${port}`;
