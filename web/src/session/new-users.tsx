import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { createUser, type NewUser } from '../api/resources';
import { forEachOf } from '../domain/batch';
import { useSessionState, whoIsHere } from './session';

export interface Created extends NewUser {
  generated: boolean;
}

/** A user who is to be created, and what tells the attempt from others. */
export interface Wanted {
  key: string;
  user: Created;
}

export interface NewUsers {
  /** While it goes on: how many of how many. */
  progress: { done: number; all: number } | undefined;
  /** All that were created since somebody logged in, with their passwords, which exist nowhere else. */
  created: readonly Created[];
  /** Nobody has copied or saved the passwords of some of them yet. */
  untaken: boolean;
  /** Why the last try failed, by the key of what was wanted. */
  errors: ReadonlyMap<string, unknown>;
  /** Creates users; returns the names that exist now. */
  create: (wanted: readonly Wanted[]) => Promise<ReadonlySet<string>>;
  /** The passwords have been taken down. */
  take: () => void;
  /** Forgets them. */
  forget: () => void;
}

const Context = createContext<NewUsers | undefined>(undefined);

export function useNewUsers(): NewUsers {
  const state = useContext(Context);
  if (!state) throw new Error('no NewUsersProvider');
  return state;
}

/** Above the pages: what is shown only once outlives a look at another page, and a login that has to be renewed. */
export function NewUsersProvider({ children }: { children: ReactNode }) {
  const { session } = useSessionState();
  const who = whoIsHere(session)?.username;
  const owner = useRef<string>(undefined);
  const [progress, setProgress] = useState<NewUsers['progress']>();
  const [created, setCreated] = useState<readonly Created[]>([]);
  const [untaken, setUntaken] = useState(false);
  const [errors, setErrors] = useState<ReadonlyMap<string, unknown>>(new Map());

  const forget = useCallback(() => {
    setCreated([]);
    setErrors(new Map());
    setUntaken(false);
  }, []);
  useEffect(() => {
    if (who === undefined) return;
    if (owner.current !== undefined && owner.current !== who) forget();
    owner.current = who;
  }, [who, forget]);
  useLeaveWarning(untaken || progress !== undefined);

  const create = useCallback(async (wanted: readonly Wanted[]): Promise<ReadonlySet<string>> => {
    let done = 0;
    const made = new Set<string>();
    setErrors(new Map());
    setProgress({ done, all: wanted.length });
    const act = async ({ user }: Wanted): Promise<void> => {
      await createUser(user);
      made.add(user.name);
      // One by one: whatever happens to the rest, these are there.
      setCreated((before) => [...before, user]);
      setUntaken(true);
    };
    const failures = await forEachOf(wanted, act, { done: () => setProgress({ done: (done += 1), all: wanted.length }) });
    setProgress(undefined);
    setErrors(new Map(failures.map(({ item, error }) => [item.key, error])));
    return made;
  }, []);
  const take = useCallback(() => setUntaken(false), []);

  const state = useMemo(() => ({ progress, created, untaken, errors, create, take, forget }), [progress, created, untaken, errors, create, take, forget]);
  return <Context value={state}>{children}</Context>;
}

/** The browser asks before the page is closed with passwords that nobody has taken down. */
function useLeaveWarning(needed: boolean): void {
  useEffect(() => {
    if (!needed) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [needed]);
}
