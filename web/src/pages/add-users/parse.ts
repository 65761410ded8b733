import { administrator, student, type Role } from '../../api/types';
import { nameProblem, suggestName, type NameProblem } from '../../domain/names';
import { passwordProblem } from '../../domain/passwords';
import { splitCells } from './cells';
import { readHeading, type Column, type HeadedColumn } from './heading';

/** Why nobody is created for a line. */
export type LineProblem =
  | { kind: 'name'; problem: NameProblem }
  | { kind: 'duplicate'; line: number }
  | { kind: 'exists' }
  | { kind: 'unknownRole'; word: string }
  | { kind: 'noNameColumn' }
  | { kind: 'unnamedColumn'; word: string }
  | { kind: 'numberAsDisplayName' }
  | { kind: 'spoiltNumber' }
  | { kind: 'shortPassword' }
  | { kind: 'openQuote' };

export interface ParsedLine {
  /** Its place in the box, from 1. */
  number: number;
  text: string;
  name: string;
  displayName: string;
  /** Empty: one is to be made up. */
  password: string;
  role: Role;
  problems: LineProblem[];
  /** An earlier line with the same password: no mistake by itself, and often one. */
  samePasswordAs: number | undefined;
  suggestion: string | undefined;
}

export interface UserList {
  /** What the first line says about the columns, where it is a heading. */
  heading: { text: string; columns: HeadedColumn[] } | undefined;
  lines: ParsedLine[];
}

const roleWords = new Map<string, Role>([
  ...['admin', 'administrator', 'teacher', '管理员', '教师', '老师', '教员'].map((word) => [word, administrator] as const),
  ...['student', 'user', 'pupil', '学生', '学员', '用户', '普通用户'].map((word) => [word, student] as const),
]);
/** Only below a heading that says so: elsewhere 1 may be a class, or a seat. */
const roleNumbers = new Map<string, Role>([['1', administrator], ['2', student]]);

/**
 * Reads a pasted list, one user per line. A heading says what the columns are. Without one they are name, display name and, where it is a
 * word for one, role: nothing becomes a password that no heading calls so.
 */
export function parseUserList(text: string, existing: ReadonlySet<string> = new Set()): UserList {
  const [first, ...rest] = text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ text: line, number: index + 1 }))
    .filter((line) => line.text.trim() !== '');
  if (!first) return { heading: undefined, lines: [] };
  const columns = readHeading(splitCells(first.text).cells);
  const lines = (columns ? rest : [first, ...rest]).map((line) => parseLine(line.text, line.number, columns));
  compare(lines, existing);
  return { heading: columns && { text: first.text, columns }, lines };
}

/** The text with each impossible name replaced by its suggestion. */
export function withSuggestions(text: string, lines: readonly ParsedLine[]): string {
  const all = text.split(/\r\n|\r|\n/);
  for (const { number, name, suggestion } of lines) {
    if (suggestion !== undefined) all[number - 1] = all[number - 1]?.replace(name, () => suggestion) ?? '';
  }
  return all.join('\n');
}

/** What is wrong with a line because of others. */
function compare(lines: readonly ParsedLine[], existing: ReadonlySet<string>): void {
  const names = new Map<string, number>();
  const passwords = new Map<string, number>();
  for (const line of lines) {
    const first = names.get(line.name);
    if (first !== undefined && line.name !== '') line.problems.push({ kind: 'duplicate', line: first });
    else names.set(line.name, line.number);
    if (existing.has(line.name)) line.problems.push({ kind: 'exists' });
    if (line.password === '') continue;
    line.samePasswordAs = passwords.get(line.password);
    if (line.samePasswordAs === undefined) passwords.set(line.password, line.number);
  }
}

type Values = Partial<Record<Column, string>> & { unnamed?: string };

function parseLine(text: string, number: number, columns: readonly HeadedColumn[] | undefined): ParsedLine {
  const { cells, openQuote } = splitCells(text);
  const values = columns ? byHeading(cells, columns) : byPlace(cells);
  const { name = '', displayName = '', password = '' } = values;
  const role = roleOf(values.role ?? '', columns !== undefined);
  const problems = [...nameProblems(name, displayName, columns), ...otherProblems(values, role)];
  if (openQuote) problems.push({ kind: 'openQuote' });
  const suggestion = problems.some(({ kind }) => kind === 'name') ? suggestionFor(name) : undefined;
  return { number, text, name, displayName, password, role: role ?? student, problems, samePasswordAs: undefined, suggestion };
}

/** The first column of a kind counts. What lies beyond the heading has no name. */
function byHeading(cells: readonly string[], columns: readonly HeadedColumn[]): Values {
  const values: Values = {};
  cells.forEach((cell, at) => {
    const column = columns[at]?.column;
    if (column) values[column] ??= cell;
    else if (cell !== '') values.unnamed ??= cell;
  });
  return values;
}

function byPlace([name = '', displayName = '', ...rest]: readonly string[]): Values {
  const others = rest.filter((cell) => cell !== '');
  const role = others.find((cell) => roleWords.has(cell.toLowerCase()));
  const unnamed = others.find((cell) => cell !== role);
  return { name, displayName, ...(role !== undefined && { role }), ...(unnamed !== undefined && { unnamed }) };
}

function roleOf(word: string, named: boolean): Role | undefined {
  if (word === '') return student;
  return roleWords.get(word.toLowerCase()) ?? (named ? roleNumbers.get(word) : undefined);
}

function nameProblems(name: string, displayName: string, columns: readonly HeadedColumn[] | undefined): LineProblem[] {
  if (columns && !columns.some(({ column }) => column === 'name')) return [{ kind: 'noNameColumn' }];
  if (/^\d+([.,]\d+)?e\+?\d+$/i.test(name)) return [{ kind: 'spoiltNumber' }];
  const problems: LineProblem[] = [];
  const problem = nameProblem(name);
  if (problem) problems.push({ kind: 'name', problem });
  if (!columns && /^\d+$/.test(displayName)) problems.push({ kind: 'numberAsDisplayName' });
  return problems;
}

function otherProblems({ role: word = '', password = '', unnamed }: Values, role: Role | undefined): LineProblem[] {
  const problems: LineProblem[] = [];
  if (role === undefined) problems.push({ kind: 'unknownRole', word });
  if (unnamed !== undefined) problems.push({ kind: 'unnamedColumn', word: unnamed });
  if (passwordProblem(password) === 'tooShort') problems.push({ kind: 'shortPassword' });
  return problems;
}

/** Only for what somebody calls themselves in Latin letters: in anything else a mistake may hide. */
function suggestionFor(name: string): string | undefined {
  return /^[\p{Script=Latin}\p{Mark}\p{Number}\s._@-]+$/u.test(name) ? suggestName(name) : undefined;
}
