import { describe, expect, it } from 'vitest';
import type { Backoff } from './backoff';
import { createBackoff } from './backoff';
import { ApiError, ConnectionError } from './errors';
import { ListWatch, type Snapshot, type Source } from './list-watch';
import type { KubeObject, WatchEvent } from './types';

type Thing = KubeObject & { value?: number };
type Batch = WatchEvent<Thing>[];
/** What a scripted watch does: deliver batches, then end or fail. */
interface Watch {
  batches?: Batch[];
  then?: Error;
}

const thing = (name: string, resourceVersion: string, value = 0): Thing => ({ metadata: { name, resourceVersion }, value });
const apiError = (code: number, seconds?: number) => new ApiError(code, { kind: 'Status', code, message: '' }, seconds);

/** Runs a list-watch against a script; ends when the script has no further watch. */
async function play(lists: (Thing[] | Error)[], watches: Watch[], options: { backoff?: Backoff } = {}) {
  const asked: string[] = [];
  const snapshots: Snapshot<Thing>[] = [];
  const pauses: number[] = [];
  let revision = 0;
  let time = 0;
  await new Promise<void>((resolve) => {
    const source: Source<Thing> = {
      list: async () => {
        asked.push('list');
        const next = lists.shift();
        if (next instanceof Error) throw next;
        revision += 100;
        return Promise.resolve({ metadata: { resourceVersion: String(revision) }, items: next ?? [] });
      },
      watch: async function* (version) {
        asked.push(`watch ${version}`);
        const next = watches.shift();
        if (!next) {
          resolve();
          await new Promise(() => undefined);
          return;
        }
        yield [];
        for (const batch of next.batches ?? []) yield await Promise.resolve(batch);
        if (next.then instanceof Error) throw next.then;
      },
    };
    const listWatch = new ListWatch(source, (snapshot) => snapshots.push(snapshot), {
      backoff: options.backoff ?? createBackoff(500, 30_000, () => 0.5),
      now: () => time,
      pause: (milliseconds) => {
        pauses.push(milliseconds);
        time += milliseconds;
        return Promise.resolve();
      },
    });
    listWatch.start();
  });
  const last = snapshots.at(-1);
  return { asked, pauses, snapshots, names: [...(last?.items?.keys() ?? [])], last, states: snapshots.map((s) => s.connection.state) };
}

describe('list and watch', () => {
  it('lists, then follows additions, changes and deletions', async () => {
    const batches: Batch[] = [
      [{ type: 'ADDED', object: thing('c', '101') }, { type: 'MODIFIED', object: thing('a', '102', 7) }],
      [{ type: 'DELETED', object: thing('b', '103') }],
    ];
    const { asked, names, last } = await play([[thing('a', '1'), thing('b', '2')]], [{ batches }]);
    expect(asked).toEqual(['list', 'watch 100', 'watch 103']);
    expect(names).toEqual(['a', 'c']);
    expect(last?.items?.get('a')?.value).toBe(7);
  });

  it('resumes where a broken stream ended, without a new list, and shows that it was broken', async () => {
    const batches: Batch[] = [[{ type: 'ADDED', object: thing('b', '104') }]];
    const { asked, pauses, states } = await play([[thing('a', '1')]], [{ batches, then: new TypeError('network') }, { batches: [] }]);
    expect(asked.slice(0, 3)).toEqual(['list', 'watch 100', 'watch 104']);
    expect(pauses[0]).toBe(500);
    expect(states).toContain('retrying');
    expect(states.lastIndexOf('live')).toBeGreaterThan(states.indexOf('retrying'));
  });

  it('resumes from a bookmark, and shows nothing for it', async () => {
    const batches: Batch[] = [[{ type: 'BOOKMARK', object: { metadata: { name: '', resourceVersion: '150' } } }]];
    const { asked, snapshots } = await play([[thing('a', '1')]], [{ batches }]);
    expect(asked).toEqual(['list', 'watch 100', 'watch 150']);
    expect(snapshots).toHaveLength(1);
  });

  it('lists again when its revision has expired, by answer or by event, and drops what is gone', async () => {
    const expired: Batch = [{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }];
    const lists = [[thing('a', '1'), thing('b', '2')], [thing('b', '2')], [thing('c', '3')]];
    const { asked, names, states } = await play(lists, [{ then: apiError(410) }, { batches: [expired] }]);
    expect(asked).toEqual(['list', 'watch 100', 'list', 'watch 200', 'list', 'watch 300']);
    expect(names).toEqual(['c']);
    expect(states).not.toContain('retrying');
  });

  it('keeps the events that came before an error in the same batch', async () => {
    const batch: Batch = [
      { type: 'ADDED', object: thing('b', '105') },
      { type: 'ERROR', object: { kind: 'Status', code: 500 } },
    ];
    const { asked, names } = await play([[thing('a', '1')]], [{ batches: [batch] }]);
    expect(asked).toEqual(['list', 'watch 100', 'watch 105']);
    expect(names).toEqual(['a', 'b']);
  });

  it('waits longer after each failure, at least as long as asked, and keeps showing what it had', async () => {
    const away = new ConnectionError('');
    const { pauses, last, states } = await play(
      [away, away, [thing('a', '1')]],
      [{ then: away }, { then: apiError(503, 20) }, { then: away }],
    );
    expect(pauses).toEqual([500, 1000, 2000, 20_000, 8000]);
    expect(last?.items?.size).toBe(1);
    expect(states[0]).toBe('retrying');
  });

  it('does not ask without rest when streams end at once', async () => {
    const { pauses, states } = await play([[]], [{}, {}, {}]);
    expect(pauses).toEqual([500, 1000, 2000]);
    expect(states).not.toContain('retrying');
  });

  it('begins with short pauses again after an event', async () => {
    const batches: Batch[] = [[{ type: 'ADDED', object: thing('a', '101') }]];
    const failed = { then: new TypeError('network') };
    const { pauses } = await play([[]], [failed, failed, { batches, ...failed }]);
    expect(pauses).toEqual([500, 1000, 500]);
  });

  it('reads a list page by page', async () => {
    const pages: Record<string, { items: Thing[]; next?: string }> = {
      '': { items: [thing('a', '1')], next: 'p2' },
      p2: { items: [thing('b', '2')] },
    };
    const snapshot = await new Promise<Snapshot<Thing>>((resolve) => {
      const source: Source<Thing> = {
        list: (token = '') => {
          const page = pages[token];
          return Promise.resolve({
            metadata: { resourceVersion: '5', ...(page?.next && { continue: page.next }) },
            items: page?.items ?? [],
          });
        },
        watch: async function* (version, signal) {
          expect(version).toBe('5');
          yield [];
          await new Promise((end) => signal.addEventListener('abort', end));
        },
      };
      const listWatch = new ListWatch(source, (seen) => {
        listWatch.stop();
        resolve(seen);
      });
      listWatch.start();
    });
    expect([...(snapshot.items?.keys() ?? [])]).toEqual(['a', 'b']);
  });

  it('ends where the session has ended', async () => {
    const states: string[] = [];
    const source: Source<Thing> = {
      list: () => Promise.reject(apiError(401)),
      // eslint-disable-next-line require-yield -- it is never reached
      watch: async function* () {
        await Promise.reject(new Error('watched'));
      },
    };
    const listWatch = new ListWatch(source, (snapshot) => states.push(snapshot.connection.state));
    listWatch.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(states).toEqual(['ended']);
  });
});

describe('the backoff', () => {
  it('doubles up to a limit and varies by a fifth', () => {
    const low = createBackoff(500, 3000, () => 0);
    expect([low.next(), low.next(), low.next(), low.next(), low.next()]).toEqual([400, 800, 1600, 2400, 2400]);
    low.reset();
    expect(low.next()).toBe(400);
    expect(createBackoff(500, 3000, () => 1).next()).toBe(600);
  });
});
