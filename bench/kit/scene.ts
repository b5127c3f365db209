// A scene: how many people there are and who is in which conversation. Every bar describes its scene; a subject
// (the server, or a floor in its place) stages it.

export interface SceneConv {
  readonly kind: 'direct' | 'group' | 'room';
  /** Indices of users; the first is the owner. */
  readonly members: readonly number[];
  /** Messages written before the server starts, by the owner. */
  readonly messages?: number;
}

export interface Scene {
  readonly name: string;
  readonly users: number;
  readonly convs: readonly SceneConv[];
}

/** Cuts users 0..users-1 into rooms of equal size, everyone in one of them. */
export function rooms(users: number, size: number): SceneConv[] {
  const count = Math.floor(users / size);
  return Array.from({ length: count }, (_, room) => ({
    kind: 'room',
    members: Array.from({ length: size }, (_, member) => room * size + member),
  }));
}

/** As `rooms`, but neighbours in one are not neighbours in the next: shuffled by a stride prime to the number of users. */
export function scatteredRooms(users: number, size: number, stride: number): SceneConv[] {
  return rooms(users, size).map((room) => ({
    ...room,
    members: room.members.map((member) => (member * stride) % users),
  }));
}

/** Primes: rooms of different strides share few people. */
const STRIDES = [1, 7, 11, 13, 17];
export const CONVS_PER_USER = STRIDES.length;
export const CONV_SIZE = 200;

/** Everyone is in five rooms of two hundred. */
export function fiveRoomsEach(name: string, users: number): Scene {
  return {
    name: `${name}-${users}`,
    users,
    convs: STRIDES.flatMap((stride) => scatteredRooms(users, CONV_SIZE, stride)),
  };
}

export function pairs(users: number): SceneConv[] {
  return Array.from({ length: Math.floor(users / 2) }, (_, pair) => ({
    kind: 'direct',
    members: [pair * 2, pair * 2 + 1],
  }));
}
