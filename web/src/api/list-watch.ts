import { createBackoff, pause, type Backoff } from './backoff';
import { ApiError, isAborted } from './errors';
import { firstOf } from './signals';
import type { KubeObject, List, Status, WatchEvent } from './types';

/** How a collection is read; `resources.ts` does it by HTTP, the tests by script. */
export interface Source<T> {
  list(continueToken: string | undefined, signal: AbortSignal): Promise<List<T>>;
  /** Batches of events from a revision on; ends when the server closes the stream. */
  watch(resourceVersion: string, signal: AbortSignal): AsyncIterable<WatchEvent<T>[]>;
}

export type Connection =
  | { state: 'loading' }
  | { state: 'live' }
  | { state: 'retrying'; error: unknown; retryAt: number }
  | { state: 'ended'; error: unknown };

export interface Snapshot<T> {
  /** By name; undefined until the first list has come. */
  items: ReadonlyMap<string, T> | undefined;
  connection: Connection;
}

export interface ListWatchOptions {
  backoff?: Backoff;
  pause?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  now?: () => number;
}

/** A stream that ends sooner than this without an event counts as a failure, or a broken server would be asked without rest. */
const shortestGoodWatch = 5000;

/**
 * Keeps a collection as it is on the server: lists once, then watches from that revision. A broken stream is resumed where it
 * ended; a revision that the server no longer knows (410) leads to a new list. What was seen stays shown meanwhile.
 */
export class ListWatch<T extends KubeObject> {
  #source: Source<T>;
  #publish: (snapshot: Snapshot<T>) => void;
  #backoff: Backoff;
  #pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  #now: () => number;
  #items: Map<string, T> | undefined;
  #resourceVersion: string | undefined;
  #connection: Connection = { state: 'loading' };
  #run: AbortController | undefined;
  #wait: AbortController | undefined;

  constructor(source: Source<T>, publish: (snapshot: Snapshot<T>) => void, options: ListWatchOptions = {}) {
    this.#source = source;
    this.#publish = publish;
    this.#backoff = options.backoff ?? createBackoff();
    this.#pause = options.pause ?? pause;
    this.#now = options.now ?? Date.now;
  }

  /** Begins, or goes on from the last revision seen. */
  start(): void {
    if (this.#run) return;
    this.#run = new AbortController();
    const { signal } = this.#run;
    void this.#loop(signal).finally(() => {
      if (this.#run?.signal === signal) this.#run = undefined;
    });
  }

  stop(): void {
    this.#run?.abort();
    this.#run = undefined;
  }

  /** Ends a pause between two tries. */
  retryNow(): void {
    this.#wait?.abort();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        if (isAborted(error)) return;
        if (!(await this.#recover(error, signal))) return;
      }
    }
  }

  /** Waits as long as the error asks for. False: there is no use in trying again. */
  async #recover(error: unknown, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (error instanceof ApiError && (error.code === 401 || error.code === 403)) {
      this.#connected({ state: 'ended', error });
      return false;
    }
    if (error instanceof ApiError && error.code === 410) this.#resourceVersion = undefined;
    const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    const milliseconds = Math.max(this.#backoff.next(), asked);
    // A revision that has expired, or a stream that ended early, is no fault that somebody needs to see.
    if (!isHarmless(error)) this.#connected({ state: 'retrying', error, retryAt: this.#now() + milliseconds });
    this.#wait = new AbortController();
    const either = firstOf(signal, this.#wait.signal);
    await this.#pause(milliseconds, either);
    return true;
  }

  async #list(signal: AbortSignal): Promise<void> {
    const items = new Map<string, T>();
    let page: List<T> | undefined;
    do {
      page = await this.#source.list(page?.metadata.continue, signal);
      for (const item of page.items) items.set(item.metadata.name, item);
    } while (page.metadata.continue);
    this.#items = items;
    this.#resourceVersion = page.metadata.resourceVersion;
    this.#connected({ state: 'live' });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const began = this.#now();
    let eventful = false;
    for await (const batch of this.#source.watch(this.#resourceVersion ?? '', signal)) {
      // An empty batch says that the stream is open.
      if (batch.length > 0) {
        this.#apply(batch);
        eventful = true;
        this.#backoff.reset();
      }
      if (this.#connection.state !== 'live' || batch.some((event) => event.type !== 'BOOKMARK')) {
        this.#connected({ state: 'live' });
      }
    }
    if (eventful || this.#now() - began >= shortestGoodWatch) this.#backoff.reset();
    else throw new EndedEarly();
  }

  #apply(batch: WatchEvent<T>[]): void {
    const items = new Map(this.#items);
    for (const event of batch) {
      if (event.type === 'ERROR') throw errorOfEvent(event.object);
      this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
      if (event.type === 'DELETED') items.delete(event.object.metadata.name);
      else if (event.type !== 'BOOKMARK') items.set(event.object.metadata.name, event.object);
      this.#items = items;
    }
  }

  #connected(connection: Connection): void {
    this.#connection = connection;
    this.#publish({ items: this.#items, connection });
  }
}

class EndedEarly extends Error {}

function isHarmless(error: unknown): boolean {
  return error instanceof EndedEarly || (error instanceof ApiError && error.code === 410);
}

function errorOfEvent(status: Status): ApiError {
  return new ApiError(status.code ?? 500, status, status.details?.retryAfterSeconds);
}
