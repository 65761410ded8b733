import { describe, expect, it } from 'vitest';
import { nameProblem, suggestName } from './names';

describe('names', () => {
  it('are DNS labels', () => {
    expect(['a', 'user1', '20230104', 'wang-fang', 'a'.repeat(63)].map(nameProblem)).toEqual(Array(5).fill(undefined));
    expect(nameProblem('')).toEqual({ kind: 'empty' });
    expect(nameProblem('Wang_F')).toEqual({ kind: 'characters', found: 'W_F' });
    expect(nameProblem('a'.repeat(64))).toEqual({ kind: 'tooLong', length: 64 });
    expect(nameProblem('-a')).toEqual({ kind: 'ends' });
    expect(nameProblem('a.b')).toEqual({ kind: 'characters', found: '.' });
  });

  it('are suggested where something is left of what was typed', () => {
    expect(suggestName('Wang Fang')).toBe('wang-fang');
    expect(suggestName('Zoë.Müller@school.edu')).toBe('zoe-muller-school-edu');
    expect(suggestName('ｌｉ１')).toBe('li1');
    expect(suggestName('a'.repeat(70))).toHaveLength(63);
    expect(suggestName('王芳')).toBeUndefined();
    expect(suggestName('fine')).toBeUndefined();
  });
});
