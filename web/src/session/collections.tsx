import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { ListWatch, type Snapshot, type Source } from '../api/list-watch';
import { devices, users } from '../api/resources';
import type { Device, KubeObject, User } from '../api/types';

/** A tab that nobody looks at gives its connections back after this: plain HTTP has six for all tabs together. */
const hiddenPause = 30_000;
/** A page that takes over from another finds the collection still there. */
const unusedPause = 5_000;

/** One live collection for all its readers: it runs while somebody reads it and the tab is looked at. */
class Collection<T extends KubeObject> {
  #listWatch: ListWatch<T>;
  #snapshot: Snapshot<T> = { items: undefined, connection: { state: 'loading' } };
  #listeners = new Set<() => void>();
  #stopping: ReturnType<typeof setTimeout> | undefined;

  constructor(source: Source<T>) {
    this.#listWatch = new ListWatch(source, (snapshot) => {
      this.#snapshot = snapshot;
      for (const listener of this.#listeners) listener();
    });
  }

  snapshot = (): Snapshot<T> => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.wake();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.sleepAfter(unusedPause);
    };
  };

  wake = (): void => {
    clearTimeout(this.#stopping);
    if (this.#listeners.size > 0) this.#listWatch.start();
  };

  sleepAfter(milliseconds: number): void {
    clearTimeout(this.#stopping);
    this.#stopping = setTimeout(() => this.#listWatch.stop(), milliseconds);
  }

  retryNow = (): void => {
    this.#listWatch.retryNow();
    this.wake();
  };

  close(): void {
    clearTimeout(this.#stopping);
    this.#listWatch.stop();
  }

  /** Resolves once the items fulfil a condition; rejects when that takes too long. */
  until(condition: (items: ReadonlyMap<string, T>) => boolean, milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        unsubscribe();
        act();
      };
      const look = (): void => {
        const { items } = this.#snapshot;
        if (items && condition(items)) end(resolve);
      };
      const timer = setTimeout(() => end(() => reject(new TookTooLong())), milliseconds);
      const unsubscribe = this.subscribe(look);
      look();
    });
  }
}

export class TookTooLong extends Error {}

interface Collections {
  devices: Collection<Device>;
  users: Collection<User>;
}

const Context = createContext<Collections | undefined>(undefined);

/** Gives the pages of one session their live collections; another session gets new ones. */
export function CollectionsProvider({ children }: { children: ReactNode }) {
  const collections = useMemo<Collections>(
    () => ({ devices: new Collection(devices.source()), users: new Collection(users.source()) }),
    [],
  );

  useEffect(() => {
    const all = [collections.devices, collections.users];
    const looked = (): void => {
      for (const collection of all) {
        if (document.hidden) collection.sleepAfter(hiddenPause);
        else collection.wake();
      }
    };
    const online = (): void => all.forEach((collection) => collection.retryNow());
    document.addEventListener('visibilitychange', looked);
    window.addEventListener('online', online);
    return () => {
      document.removeEventListener('visibilitychange', looked);
      window.removeEventListener('online', online);
      all.forEach((collection) => collection.close());
    };
  }, [collections]);

  return <Context value={collections}>{children}</Context>;
}

function useCollections(): Collections {
  const collections = useContext(Context);
  if (!collections) throw new Error('no CollectionsProvider');
  return collections;
}

export interface Live<T extends KubeObject> extends Snapshot<T> {
  retryNow: () => void;
  until: Collection<T>['until'];
}

function useLive<T extends KubeObject>(collection: Collection<T>): Live<T> {
  const snapshot = useSyncExternalStore(collection.subscribe, collection.snapshot);
  return useMemo(
    () => ({ ...snapshot, retryNow: collection.retryNow, until: (condition, ms) => collection.until(condition, ms) }),
    [snapshot, collection],
  );
}

export function useDevices(): Live<Device> {
  return useLive(useCollections().devices);
}

export function useUsers(): Live<User> {
  return useLive(useCollections().users);
}
