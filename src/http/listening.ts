// Faults of listening, told to the operator under the setting's name.
import { StartError } from '../errors.ts';

/** What keeps a port from being listened on is the operator's to mend: one line that names the setting. */
export async function listening<T>(
  setting: string,
  host: string,
  port: number,
  listen: (host: string, port: number) => Promise<T>,
): Promise<T> {
  try {
    return await listen(host, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new StartError(`${setting}: port ${port} on ${host} is in use`);
    if (code === 'EACCES') throw new StartError(`${setting}: this user may not listen on port ${port}`);
    if (code === 'ENOTSUP') throw new StartError('CHAT_WORKERS: this system cannot share a port; leave it at 1');
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new StartError(`CHAT_HOST: there is no address ${host} here`);
    }
    throw error;
  }
}
