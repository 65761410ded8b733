import { describe, expect, it } from 'vitest';
import { parseUserList, withSuggestions } from './parse';

const columns = (text: string) =>
  parseUserList(text).map(({ name, displayName, password, role }) => [name, displayName, password, role]);
const problems = (text: string, existing: string[] = []) =>
  parseUserList(text, new Set(existing)).map((line) => line.problems.map((problem) => problem.kind));

describe('a pasted list', () => {
  it('is split at commas, full-width ones too', () => {
    expect(columns('wang-fang, 王 芳, secret, teacher')).toEqual([['wang-fang', '王 芳', 'secret', 1]]);
    expect(columns('wang-fang，王芳，，学生')).toEqual([['wang-fang', '王芳', '', 2]]);
  });

  it('is split at tabs, where a cell may hold commas and be empty', () => {
    expect(columns('li-wei\tLi, Wei\t\t老师')).toEqual([['li-wei', 'Li, Wei', '', 1]]);
  });

  it('is split at any blanks where there is neither', () => {
    expect(columns('  li-wei   李伟　pw-1 2 ')).toEqual([['li-wei', '李伟', 'pw-1', 2]]);
  });

  it('lets each line have its own separator', () => {
    expect(columns('a,A\nb\tB\nc C')).toEqual([['a', 'A', '', 2], ['b', 'B', '', 2], ['c', 'C', '', 2]]);
  });

  it('takes quoted cells as they are', () => {
    expect(columns('a,"Smith, John","x""y,z",student')).toEqual([['a', 'Smith, John', 'x"y,z', 2]]);
    expect(columns('a,A,pa"ss')).toEqual([['a', 'A', 'pa"ss', 2]]);
    expect(problems('a,"A')).toEqual([['openQuote']]);
  });

  it('needs nothing but a name', () => {
    expect(columns('a\n\n  \r\nb,')).toEqual([['a', '', '', 2], ['b', '', '', 2]]);
    expect(problems(', Nobody')).toEqual([['name']]);
  });

  it('leaves a heading out, but only at the top', () => {
    expect(columns('用户名,显示名\na')).toEqual([['a', '', '', 2]]);
    expect(columns('a\nname')).toHaveLength(2);
  });

  it('keeps the numbers of the lines in the box', () => {
    expect(parseUserList('name\n\na\n\nb').map((line) => line.number)).toEqual([3, 5]);
  });

  it('finds names given twice and names that exist', () => {
    expect(problems('a\nb\na', ['b'])).toEqual([[], ['exists'], ['duplicate']]);
  });

  it('finds unknown roles and too many columns', () => {
    expect(problems('a,A,pw,boss')).toEqual([['unknownRole']]);
    expect(problems('a,A,pw,1,more')).toEqual([['tooManyColumns']]);
  });

  it('suggests a possible name, and puts it in', () => {
    const text = 'Wang_Fang, Wang\n王芳, 王芳\nok, OK';
    const lines = parseUserList(text);
    expect(lines.map((line) => line.suggestion)).toEqual(['wang-fang', 'student-2', undefined]);
    expect(withSuggestions(text, lines)).toBe('wang-fang, Wang\nstudent-2, 王芳\nok, OK');
  });
});
