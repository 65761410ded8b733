import { describe, expect, it } from 'vitest';
import { en } from './en';
import { preferredLanguage } from './messages';
import { zh } from './zh';

/** Every text with its path; a text made by a function is made with numbers. */
function texts(table: object, path = ''): [string, string][] {
  return Object.entries(table).flatMap(([key, value]: [string, unknown]) => {
    const here = `${path}.${key}`;
    if (typeof value === 'string') return [[here, value]];
    if (typeof value === 'function') return [[here, (value as (...args: number[]) => string)(2, 3)]];
    return texts(value as object, here);
  });
}

describe('the tables of texts', () => {
  it('have the same keys, and text in each place', () => {
    expect(texts(zh).map(([path]) => path)).toEqual(texts(en).map(([path]) => path));
    expect([...texts(zh), ...texts(en)].filter(([, text]) => text.trim() === '')).toEqual([]);
  });

  it('have no text left in the other language', () => {
    expect(texts(en).filter(([, text]) => /\p{Script=Han}/u.test(text))).toEqual([]);
    const same = texts(zh).filter(([, text]) => !/\p{Script=Han}/u.test(text));
    expect(same.map(([path]) => path)).toEqual(['.common.none', '.common.count']);
  });
});

describe('the language at first', () => {
  it('is the first of the browser that we have', () => {
    expect(preferredLanguage(['zh-TW', 'en'])).toBe('zh-CN');
    expect(preferredLanguage(['fr', 'en-GB', 'zh'])).toBe('en');
    expect(preferredLanguage(['fr'])).toBe('en');
  });
});
