import type { Device, User } from '../../api/types';
import { ownerOf, phaseOf } from '../../domain/devices';

/** A user together with the environment that is theirs. */
export interface UserRow {
  name: string;
  user: User;
  device: Device | undefined;
}

export type UserColumn = 'name' | 'displayName' | 'role' | 'environment';

export function rowsOf(users: ReadonlyMap<string, User> | undefined, devices: ReadonlyMap<string, Device> | undefined): UserRow[] {
  const byOwner = new Map<string, Device>();
  for (const device of devices?.values() ?? []) byOwner.set(ownerOf(device), device);
  return [...(users?.values() ?? [])].map((user) => ({ name: user.metadata.name, user, device: byOwner.get(user.metadata.name) }));
}

/** What a column is sorted by. */
export function textOf({ name, user, device }: UserRow, column: UserColumn): string {
  switch (column) {
    case 'name':
      return name;
    case 'displayName':
      return user.spec.chineseName ?? '';
    case 'role':
      return String(user.spec.role ?? 2);
    case 'environment':
      return device ? phaseOf(device) : '';
  }
}
