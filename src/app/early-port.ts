// The port of a process that waits for a service at its start: opened when there is something to wait for, so that operators
// see for what, and freed for the server itself.
import type { Config } from '../config.ts';
import { listening } from '../http/listening.ts';
import { serveWaiting, type Waiting } from '../http/waiting.ts';

export class EarlyPort {
  readonly #config: Pick<Config, 'host' | 'port'>;
  readonly #reusePort: boolean;
  #waiting: Waiting | undefined;

  /** @param reusePort several processes share the port */
  constructor(config: Pick<Config, 'host' | 'port'>, reusePort: boolean) {
    this.#config = config;
    this.#reusePort = reusePort;
  }

  /** From now on `/ready` names the service. @throws StartError */
  readonly await = async (service: string): Promise<void> => {
    if (this.#waiting !== undefined) {
      this.#waiting.missing = [service];
      return;
    }
    const { host, port } = this.#config;
    const reusePort = this.#reusePort;
    this.#waiting = await listening('CHAT_PORT', host, port, (host, port) =>
      serveWaiting([service], { host, port, reusePort }),
    );
  };

  /** @returns the port to listen on */
  async free(): Promise<number> {
    const port = await this.#waiting?.close();
    this.#waiting = undefined;
    return port ?? this.#config.port;
  }
}
