// Who there is: one's own account, other people's profiles. What others see holds neither address nor password.
import { ChatError } from '../errors.ts';
import type { User, UserStore } from '../ports/accounts.ts';
import type { Millis, UserId } from '../protocol/ids.ts';
import { checkDisplayName, checkEmail, type Profile } from './rules.ts';

/** What only its owner sees. */
export interface Me extends Profile {
  readonly email: string;
  readonly createdAt: Millis;
}

export interface People {
  me(id: UserId): Promise<Me>;
  /** @throws ChatError `conflict` when the address is taken */
  changeMe(id: UserId, patch: { readonly displayName?: string; readonly email?: string }): Promise<Me>;
  /** @throws ChatError `not_found` */
  profile(id: UserId): Promise<Profile>;
  /** Unknown ids are left out. */
  profiles(ids: readonly UserId[]): Promise<readonly Profile[]>;
  search(
    prefix: string,
    cursor: string | null,
    limit: number,
  ): Promise<{ readonly items: readonly Profile[]; readonly cursor: string | null }>;
}

export function profileOf({ id, name, displayName }: User): Profile {
  return { id, name, displayName };
}

function meOf(user: User): Me {
  return { ...profileOf(user), email: user.email, createdAt: user.createdAt };
}

export function createPeople(users: UserStore): People {
  async function one(id: UserId): Promise<User> {
    const [user] = await users.byIds([id]);
    if (user === undefined) throw new ChatError('not_found');
    return user;
  }

  return {
    me: async (id) => meOf(await one(id)),

    async changeMe(id, patch) {
      if (patch.displayName !== undefined) checkDisplayName(patch.displayName);
      if (patch.email !== undefined) checkEmail(patch.email);
      const changed = await users.update(id, patch);
      if (changed === null) throw new ChatError('not_found');
      if ('taken' in changed) throw new ChatError('conflict', { field: 'email', message: 'This email is taken.' });
      return meOf(changed.user);
    },

    profile: async (id) => profileOf(await one(id)),

    profiles: async (ids) => (await users.byIds(ids)).map(profileOf),

    async search(prefix, cursor, limit) {
      const page = await users.search(prefix, cursor, limit);
      return { items: page.items.map(profileOf), cursor: page.cursor };
    },
  };
}
