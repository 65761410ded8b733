import { useState } from 'react';
import { createUser, type NewUser } from '../../api/resources';
import { forEachOf } from '../../domain/batch';
import { generatePassword } from '../../domain/passwords';
import type { ParsedLine } from './parse';

export interface Created extends NewUser {
  generated: boolean;
}

export interface Creation {
  /** While it goes on: how many of how many. */
  progress: { done: number; all: number } | undefined;
  /** All that were created since the page was opened, with their passwords. */
  created: readonly Created[];
  /** Why the last try failed, by the text of the line: a corrected line has no error. */
  errors: ReadonlyMap<string, unknown>;
  /** Creates users for these lines; returns the names that exist now. */
  create: (lines: readonly ParsedLine[]) => Promise<ReadonlySet<string>>;
}

export function useCreation(): Creation {
  const [progress, setProgress] = useState<Creation['progress']>();
  const [created, setCreated] = useState<readonly Created[]>([]);
  const [errors, setErrors] = useState<ReadonlyMap<string, unknown>>(new Map());

  const create = async (lines: readonly ParsedLine[]): Promise<ReadonlySet<string>> => {
    const wanted = lines.map((line) => ({ line, user: userOf(line) }));
    let done = 0;
    setErrors(new Map());
    setProgress({ done, all: wanted.length });
    const failures = await forEachOf(wanted, ({ user }) => createUser(user), { done: () => setProgress({ done: (done += 1), all: wanted.length }) });
    const failed = new Set(failures.map(({ item }) => item));
    const made = wanted.filter((item) => !failed.has(item)).map(({ user }) => user);
    setProgress(undefined);
    setErrors(new Map(failures.map(({ item, error }) => [item.line.text, error])));
    setCreated((before) => [...before, ...made]);
    return new Set(made.map((user) => user.name));
  };
  return { progress, created, errors, create };
}

function userOf({ name, displayName, password, role }: ParsedLine): Created {
  const generated = password === '';
  return { name, chineseName: displayName, password: generated ? generatePassword() : password, role, generated };
}
