// The command itself, as far as it does not run what it is for.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { cleanEnv } from '../kit/process.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

function run(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    env: cleanEnv(),
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

t.test('help is given, wrong use is told what is right', async (t) => {
  const help = run('--help');
  t.match(help, { status: 0, stdout: /--mode[\s\S]*--seed[\s\S]*--keep/, stderr: '' });
  for (const words of [['--mode', 'both ways'], ['--seed', '-1'], ['--seed', 'x'], ['--sed', '1'], ['texts']]) {
    const wrong = run(...words);
    t.match(wrong, { status: 2, stdout: '' }, words.join(' '));
    t.ok(wrong.stderr.endsWith(help.stdout), 'with the help');
  }
});
