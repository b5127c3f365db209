// Access tokens: JWTs by @fastify/jwt, HS256 and nothing else, for the audience `chatterbox` and of the kind `access`.
// Sockets need them as much as routes do, so the signer lives on an instance of its own that never listens.
import jwt from '@fastify/jwt';
import Fastify from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Claims, Tokens } from '../accounts/index.ts';
import { ID_PATTERN } from '../protocol/ids.ts';

const AUDIENCE = 'chatterbox';
const ALGORITHM = 'HS256';
/** Tokens found good before: whoever calls again, or comes back in a storm, costs a look in place of a signature. */
const KEPT_TOKENS = 5_000;

const payload = Compile(
  Type.Object({
    kind: Type.Literal('access'),
    sub: Type.String({ pattern: ID_PATTERN }),
    sid: Type.String({ pattern: ID_PATTERN }),
    exp: Type.Integer(),
  }),
);

/** @param secret at least 32 bytes */
export async function accessTokens(secret: string): Promise<Tokens> {
  const app = Fastify();
  await app.register(jwt, {
    secret,
    sign: { algorithm: ALGORITHM, aud: AUDIENCE },
    // Expiry is the accounts' to judge, by the clock port.
    verify: {
      algorithms: [ALGORITHM],
      allowedAud: AUDIENCE,
      ignoreExpiration: true,
      requiredClaims: ['exp', 'aud'],
    },
  });
  await app.ready();
  return {
    sign: (claims) => app.jwt.sign({ ...claims, kind: 'access' }),
    verify: remembering((token) => readClaims(() => app.jwt.verify(token))),
  };
}

/** The longest known go first. What is found bad is not kept: anybody can make such. */
function remembering(verify: Tokens['verify']): Tokens['verify'] {
  const known = new Map<string, Claims>();
  return (token) => {
    const before = known.get(token);
    if (before !== undefined) return before;
    const claims = verify(token);
    if (claims === null) return null;
    if (known.size >= KEPT_TOKENS) known.delete(known.keys().next().value as string);
    known.set(token, claims);
    return claims;
  };
}

function readClaims(verify: () => unknown): Claims | null {
  try {
    const claims = verify();
    return payload.Check(claims) ? (claims as unknown as Claims) : null;
  } catch {
    return null;
  }
}
