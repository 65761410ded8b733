import { expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import { forEachOf } from './batch';

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));

it('does everything, a few at a time', async () => {
  let now = 0;
  let most = 0;
  const done: number[] = [];
  const failures = await forEachOf(
    [1, 2, 3, 4, 5],
    async () => {
      most = Math.max(most, ++now);
      await tick();
      now -= 1;
    },
    { width: 2, done: (item) => done.push(item) },
  );
  expect([failures, most, done.sort()]).toEqual([[], 2, [1, 2, 3, 4, 5]]);
});

it('goes on after a failure and tells it', async () => {
  const wrong = new Error('wrong');
  const failures = await forEachOf([1, 2, 3], (item) => (item === 2 ? Promise.reject(wrong) : Promise.resolve()));
  expect(failures).toEqual([{ item: 2, error: wrong }]);
});

it('waits as long as the server asks', async () => {
  const pauses: number[] = [];
  let refusals = 2;
  const failures = await forEachOf(
    ['a'],
    () => (refusals-- > 0 ? Promise.reject(new ApiError(429, { kind: 'Status' }, 3)) : Promise.resolve()),
    {
      pause: (milliseconds) => {
        pauses.push(milliseconds);
        return Promise.resolve();
      },
    },
  );
  expect([failures, pauses]).toEqual([[], [3000, 3000]]);
});
