import { expect, it } from 'vitest';
import { moment, withMoments } from './format';

it("shows the server's times as the reader's, and leaves the rest", () => {
  const time = '2026-01-02T03:04:05Z';
  const now = Date.parse(time);
  expect(withMoments(`it ends at ${time}, or at ${time}; v2026-01`, 'en', now)).toBe(
    `it ends at ${moment(time, 'en', now)}, or at ${moment(time, 'en', now)}; v2026-01`,
  );
  expect(withMoments('nothing', 'zh-CN')).toBe('nothing');
});
