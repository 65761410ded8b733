import { describe, expect, it } from 'vitest';
import { generatePassword, passwordProblem } from './passwords';

describe('the rule for passwords', () => {
  it('counts characters, as the server does', () => {
    expect(passwordProblem('')).toBe('missing');
    expect(passwordProblem('1234567')).toBe('tooShort');
    expect(passwordProblem('12345678')).toBeUndefined();
    expect(passwordProblem('密码密码密码密')).toBe('tooShort');
    expect(passwordProblem('😀😀😀😀')).toBe('tooShort');
    expect(passwordProblem('密码密码密码密码')).toBeUndefined();
  });

  it('is kept by generated ones', () => {
    for (let i = 0; i < 100; i++) expect(passwordProblem(generatePassword())).toBeUndefined();
  });
});
