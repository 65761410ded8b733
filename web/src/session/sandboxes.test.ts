import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../api/types';
import { choosable, inLanguage, textIn, titleOf } from './sandboxes';

const sandbox = (spec: Sandbox['spec']): Sandbox => ({ metadata: { name: 'a' }, spec });

describe('texts in several languages', () => {
  test('the language itself, or its first part', () => {
    expect(textIn({ zh: '中', en: 'E' }, 'zh-CN')).toBe('中');
    expect(textIn({ 'zh-CN': '国', zh: '中' }, 'zh-CN')).toBe('国');
    expect(textIn({ zh: '中' }, 'en')).toBeUndefined();
    expect(textIn(undefined, 'en')).toBeUndefined();
  });

  test('what there is none of is said as before', () => {
    const both = sandbox({ displayTitle: 'T', description: 'D', titles: { zh: '题' } });
    expect(inLanguage(both, 'zh-CN').spec).toMatchObject({ displayTitle: '题', description: 'D' });
    expect(inLanguage(both, 'en').spec).toMatchObject({ displayTitle: 'T', description: 'D' });
    expect(inLanguage(sandbox({}), 'en').spec).toEqual({});
  });
});

test('what is hidden is not offered, and has its title all the same', () => {
  const all = [sandbox({ displayTitle: 'T', hidden: true })];
  expect(choosable(all)).toEqual([]);
  expect(choosable(undefined)).toBeUndefined();
  expect(titleOf('a', all)).toBe('T');
});
