import { describe, expect, it } from 'vitest';
import { parseUserList, withSuggestions } from './parse';

const columns = (text: string) =>
  parseUserList(text).lines.map(({ name, displayName, password, role }) => [name, displayName, password, role]);
const problems = (text: string, existing: string[] = []) =>
  parseUserList(text, new Set(existing)).lines.map((line) => line.problems.map((problem) => problem.kind));
const heading = 'username, display name, password, role\n';

describe('a pasted list', () => {
  it('is split at commas, full-width ones too', () => {
    expect(columns(heading + 'wang-fang, 王 芳, secret-12, teacher')).toEqual([['wang-fang', '王 芳', 'secret-12', 1]]);
    expect(columns('wang-fang，王芳，，学生')).toEqual([['wang-fang', '王芳', '', 2]]);
  });

  it('is split at tabs, where a cell may hold commas and be empty', () => {
    expect(columns('li-wei\tLi, Wei\t\t老师')).toEqual([['li-wei', 'Li, Wei', '', 1]]);
  });

  it('is split at semicolons, bars and enumeration commas', () => {
    expect(columns('a;A\nb；B\nc|C\nd、D')).toEqual([['a', 'A', '', 2], ['b', 'B', '', 2], ['c', 'C', '', 2], ['d', 'D', '', 2]]);
  });

  it('is split at any blanks where there is none of these', () => {
    expect(columns('学号 姓名 密码 角色\n  li-wei   李伟　pw-12345 2 ')).toEqual([['li-wei', '李伟', 'pw-12345', 2]]);
  });

  it('lets each line have its own separator', () => {
    expect(columns('a,A\nb\tB\nc C')).toEqual([['a', 'A', '', 2], ['b', 'B', '', 2], ['c', 'C', '', 2]]);
  });

  it('takes quoted cells as they are', () => {
    expect(columns(heading + 'a,"Smith, John","x""y,z;123",student')).toEqual([['a', 'Smith, John', 'x"y,z;123', 2]]);
    expect(columns(heading + 'a,A,pa"ss-1234')).toEqual([['a', 'A', 'pa"ss-1234', 2]]);
    expect(problems('a,"A')).toEqual([['openQuote']]);
  });

  it('needs nothing but a name', () => {
    expect(columns('a\n\n  \r\nb,')).toEqual([['a', '', '', 2], ['b', '', '', 2]]);
    expect(problems(', Nobody')).toEqual([['name']]);
  });

  it('keeps the numbers of the lines in the box', () => {
    expect(parseUserList('name\n\na\n\nb').lines.map((line) => line.number)).toEqual([3, 5]);
  });

  it('finds names given twice and names that exist', () => {
    expect(problems('a\nb\na', ['b'])).toEqual([[], ['exists'], ['duplicate']]);
  });

  it('finds unknown roles', () => {
    expect(problems(heading + 'a,A,,boss')).toEqual([['unknownRole']]);
  });

  it('suggests a possible name, and puts it in', () => {
    const text = 'Wang_Fang, Wang\n王芳, 王芳\nok, OK';
    const { lines } = parseUserList(text);
    expect(lines.map((line) => line.suggestion)).toEqual(['wang-fang', undefined, undefined]);
    expect(withSuggestions(text, lines)).toBe('wang-fang, Wang\n王芳, 王芳\nok, OK');
  });
});

describe('the heading', () => {
  it('is the first line alone', () => {
    expect(columns('用户名,显示名\na')).toEqual([['a', '', '', 2]]);
    expect(columns('a\nname')).toHaveLength(2);
    expect(columns('user1, student')).toHaveLength(1);
  });

  it('says which column is which, in any order', () => {
    expect(columns('序号\t姓名\t学号\t性别\n1\t张三\t20230201\t女')).toEqual([['20230201', '张三', '', 2]]);
    expect(columns('username,password,role,class\nann,spring-rain,2,1班')).toEqual([['ann', '', 'spring-rain', 2]]);
    expect(columns('姓名,学号,班级\n王芳,20230201,1班')).toEqual([['20230201', '王芳', '', 2]]);
    expect(columns('Name, Student ID\nAnn, a1')).toEqual([['a1', 'Ann', '', 2]]);
    expect(columns('账户,姓名\na1,Ann')).toEqual([['a1', 'Ann', '', 2]]);
  });

  it('tells what becomes of each column', () => {
    expect(parseUserList('学号,姓名,班级,奖学金\n1a,A,x,y').heading?.columns.map(({ column }) => column)).toEqual(['name', 'displayName', 'other', 'other']);
  });

  it('has to name the users', () => {
    expect(problems('姓名,班级\n王芳,1班')).toEqual([['noNameColumn']]);
  });
});

describe('a password', () => {
  it('is only what a heading calls so', () => {
    for (const text of ['学号,姓名,班级\n20230201,王芳,计算机2023级1班', '学号 姓名 性别\n20230201 王芳 女']) {
      expect(columns(text)[0]?.[2]).toBe('');
      expect(problems(text)).toEqual([[]]);
    }
    for (const text of ['20230201,王芳,计算机2023级1班', '20230201 王 芳', 'a,A,secret-word,student', '1\t20230201\t张三\t女']) {
      expect(columns(text)[0]?.[2]).toBe('');
      expect(problems(text)[0]).toContain('unnamedColumn');
    }
  });

  it('has a length, and is told where another line has the same', () => {
    expect(problems('学号,密码\na,1234567\nb,12345678')).toEqual([['shortPassword'], []]);
    expect(parseUserList('学号,密码\na,12345678\nb,12345678\nc,').lines.map((line) => line.samePasswordAs)).toEqual([undefined, 2, undefined]);
  });
});

describe('what looks like a mistake', () => {
  it('is a class that would be a role', () => {
    expect(problems('20230201,王芳,1')).toEqual([['unnamedColumn']]);
    expect(columns('学号,姓名,角色\n20230201,王芳,1')[0]?.[3]).toBe(1);
  });

  it('is a number where a person should be', () => {
    expect(problems('1,20230201')).toEqual([['numberAsDisplayName']]);
  });

  it('is a number that a spreadsheet has shortened', () => {
    expect(problems('2.02301E+11,王芳')).toEqual([['spoiltNumber']]);
    expect(parseUserList('2.02301E+11,王芳').lines[0]?.suggestion).toBeUndefined();
  });
});
