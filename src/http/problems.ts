// Failures over HTTP: RFC 9457 problem details, from the one table of errors. What is not a ChatError, and not the
// framework's refusal of a malformed request, is a defect: logged under the request's id, and told to nobody.
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { ChatError, ERRORS, type ErrorCode, errorEntry } from '../errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Codes that can occur over HTTP. */
export const HTTP_CODES = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => errorEntry(code).http !== undefined);

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:chatterbox:error:<code>' }),
    title: Type.String({ description: 'What the code means.' }),
    status: Type.Integer(),
    code: Type.Enum(HTTP_CODES),
    detail: Type.String({ description: 'What went wrong this time, for people.' }),
    requestId: Type.String({ description: 'Under which the server logs it.' }),
    field: Type.Optional(Type.String({ description: "The request's field that is at fault." })),
  },
  { $id: 'Problem', description: 'A failure (RFC 9457).' },
);

/** The framework's refusals of malformed requests. Any other with a 4xx status is that of a file there is not. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_frame',
  FST_ERR_BAD_URL: 'bad_frame',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  ENAMETOOLONG: 'not_found',
};

export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const failure = failureOf(error);
  if (failure.code === 'internal') request.log.error({ err: error }, 'a request failed');
  void writeProblem(failure, request, reply);
}

function failureOf(error: unknown): ChatError {
  if (error instanceof ChatError) return error;
  const { code = '', statusCode = 500 } = error as { code?: string; statusCode?: number };
  const isRefused = statusCode >= 400 && statusCode < 500;
  return new ChatError(FRAMEWORK_CODES[code] ?? (isRefused ? 'not_found' : 'internal'), { cause: error });
}

function writeProblem(failure: ChatError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { code, afterMs } = failure;
  const status = errorEntry(code).http ?? 500;
  if (afterMs !== undefined && Number.isFinite(afterMs)) reply.header('retry-after', Math.ceil(afterMs / 1_000));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // Refusals by the framework come before the hook that sets it.
  reply.header('x-request-id', request.id);
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(failure, request.id)));
}

export function problemOf({ code, message: detail, field }: ChatError, requestId: string) {
  const { http: status = 500, message: title } = errorEntry(code);
  const type = `urn:chatterbox:error:${code}`;
  return { type, title, status, code, detail, requestId, ...(field === undefined ? {} : { field }) };
}

/** Bytes that are no HTTP request, or one that came too slowly: answered on the bare socket, which then ends. */
export function handleClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const line = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
};
