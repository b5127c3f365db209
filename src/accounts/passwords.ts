// Passwords: argon2id, written as PHC strings that carry their own parameters. Each hash takes
// 19 MiB and a core: as many at once as there are cores, and a bounded number waiting.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { queue } from '../queue.ts';

interface Parameters {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Buffer;
  readonly hashBytes: number;
}

/** OWASP's advice for one lane: 19 MiB, two passes. */
const COST = { memoryKib: 19_456, passes: 2, lanes: 1, hashBytes: 32 } as const;
const SALT_BYTES = 16;

/** About ten seconds' work of a core; whoever would wait longer is told to come back. */
const MAX_WAITING_PER_CORE = 500;

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export interface Passwords {
  /** @throws ChatError `overloaded` */
  hash(password: string): Promise<string>;
  /**
   * Whether it is the password that was hashed. For null, nobody's: the same work, and false.
   * @throws ChatError `overloaded`
   */
  verify(password: string, phc: string | null): Promise<boolean>;
}

export function createPasswords(
  maxAtOnce = availableParallelism(),
  maxWaiting = MAX_WAITING_PER_CORE * maxAtOnce,
): Passwords {
  const inTurn = queue(maxAtOnce, maxWaiting);
  const nobody = writePhc({ ...COST, salt: randomBytes(SALT_BYTES) }, randomBytes(COST.hashBytes));

  return {
    async hash(password) {
      const parameters = { ...COST, salt: randomBytes(SALT_BYTES) };
      return writePhc(parameters, await inTurn(() => derive(password, parameters)));
    },

    async verify(password, phc) {
      const { parameters, hash } = readPhc(phc ?? nobody);
      const derived = await inTurn(() => derive(password, parameters));
      return timingSafeEqual(derived, hash) && phc !== null;
    },
  };
}

function derive(password: string, { memoryKib, passes, lanes, salt, hashBytes }: Parameters): Promise<Buffer> {
  const options = {
    message: password,
    nonce: salt,
    parallelism: lanes,
    tagLength: hashBytes,
    memory: memoryKib,
    passes,
  };
  return new Promise((resolve, reject) => {
    argon2('argon2id', options, (error, hash) => (error === null ? resolve(hash) : reject(error)));
  });
}

/** The PHC string format: unpadded base64, version 1.3 written as 19. */
function writePhc({ memoryKib, passes, lanes, salt }: Parameters, hash: Buffer): string {
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(hash)}`;
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

function readPhc(phc: string): { parameters: Parameters; hash: Buffer } {
  const [, memory, passes, lanes, salt, hash] = PHC.exec(phc) ?? [];
  if (salt === undefined || hash === undefined) throw new Error('a stored password is no argon2id PHC string');
  const bytes = Buffer.from(hash, 'base64');
  return {
    parameters: {
      memoryKib: Number(memory),
      passes: Number(passes),
      lanes: Number(lanes),
      salt: Buffer.from(salt, 'base64'),
      hashBytes: bytes.length,
    },
    hash: bytes,
  };
}
