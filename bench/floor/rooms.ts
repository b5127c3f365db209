// What the fan-out floors share: rooms named in the token, a push assembled once a message, and how to answer. No
// authentication, no rights, no log, no bounds: the least work that fills the same sockets with the same bytes.

interface FloorMessage {
  readonly t: string;
  readonly id: string;
  readonly token?: string;
  readonly conv?: string;
  readonly text?: string;
}

interface Room<Member> {
  readonly conv: string;
  readonly members: Member[];
  seq: number;
}

/** What a frame leads to: an answer, and a push to all members of a room. */
export interface Effect<Member> {
  readonly answer: string;
  readonly push?: string;
  readonly members: readonly Member[];
}

const FROM = 'floor-user-00000000001';

export class Rooms<Member> {
  readonly #rooms = new Map<string, Room<Member>>();

  handle(member: Member, data: string): Effect<Member> {
    const frame = JSON.parse(data) as FloorMessage;
    return frame.t === 'hello' ? this.#hello(member, frame) : this.#message(frame);
  }

  /** The token of a floor is the list of its rooms. */
  #hello(member: Member, { id, token = '' }: FloorMessage): Effect<Member> {
    const convs = token.split(',').filter((conv) => conv !== '');
    const entries = convs.map((conv) => {
      const room = this.#room(conv);
      room.members.push(member);
      return { conv, seq: room.seq };
    });
    return { answer: JSON.stringify({ t: 'ready', id, convs: entries, more: false }), members: [] };
  }

  #room(conv: string): Room<Member> {
    let room = this.#rooms.get(conv);
    if (room === undefined) {
      room = { conv, members: [], seq: 1 };
      this.#rooms.set(conv, room);
    }
    return room;
  }

  #message({ id, conv = '', text = '' }: FloorMessage): Effect<Member> {
    const room = this.#room(conv);
    const seq = ++room.seq;
    const at = Date.now();
    const push = `{"t":"message","conv":"${conv}","seq":${seq},"n":${seq - 1},"from":"${FROM}","at":${at},"key":"${id}","text":"${text}"}`;
    const answer = `{"t":"ok","id":"${id}","conv":"${conv}","seq":${seq},"n":${seq - 1},"at":${at}}`;
    return { answer, push, members: room.members };
  }
}

export const WELCOME = '{"t":"welcome","v":1}';

/** One unmasked text frame, shorter than 64 KiB. */
export function prepareFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header =
    payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from(header), payload]);
}
