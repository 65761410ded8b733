import { nameProblem, suggestName, type NameProblem } from '../../domain/names';
import { administrator, student, type Role } from '../../api/types';

export type LineProblem =
  | { kind: 'name'; problem: NameProblem }
  | { kind: 'duplicate'; line: number }
  | { kind: 'exists' }
  | { kind: 'unknownRole'; word: string }
  | { kind: 'tooManyColumns'; count: number }
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
  suggestion: string | undefined;
}

const roleWords = new Map<string, Role>([
  ...['1', 'admin', 'administrator', 'teacher', '管理员', '教师', '老师'].map((word) => [word, administrator] as const),
  ...['', '2', 'student', 'user', 'pupil', '学生', '用户', '普通用户'].map((word) => [word, student] as const),
]);

const headerWords = new Set(['name', 'username', 'user', 'login', '用户名', '账号', '帐号', '学号', '名称']);

/** Reads a pasted list, one user per line: name, display name, password, role. */
export function parseUserList(text: string, existing: ReadonlySet<string> = new Set()): ParsedLine[] {
  const lines = text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ text: line, number: index + 1 }))
    .filter((line) => line.text.trim() !== '')
    .filter((line, index) => index > 0 || !isHeader(line.text))
    .map((line) => parseLine(line.text, line.number));
  const firstOfName = new Map<string, number>();
  for (const line of lines) {
    const first = firstOfName.get(line.name);
    if (first !== undefined && line.name !== '') line.problems.push({ kind: 'duplicate', line: first });
    else firstOfName.set(line.name, line.number);
    if (existing.has(line.name)) line.problems.push({ kind: 'exists' });
  }
  return lines;
}

/** The text with each impossible name replaced by its suggestion. */
export function withSuggestions(text: string, lines: readonly ParsedLine[]): string {
  const all = text.split(/\r\n|\r|\n/);
  for (const { number, name, suggestion } of lines) {
    if (suggestion !== undefined) all[number - 1] = all[number - 1]?.replace(name, () => suggestion) ?? '';
  }
  return all.join('\n');
}

function isHeader(line: string): boolean {
  return headerWords.has((splitColumns(line).cells[0] ?? '').toLowerCase());
}

function parseLine(text: string, number: number): ParsedLine {
  const { cells, openQuote } = splitColumns(text);
  const [name = '', displayName = '', password = '', roleWord = ''] = cells;
  const role = roleWords.get(roleWord.toLowerCase());
  const problems: LineProblem[] = [];
  const badName = nameProblem(name);
  if (badName) problems.push({ kind: 'name', problem: badName });
  if (role === undefined) problems.push({ kind: 'unknownRole', word: roleWord });
  if (cells.length > 4) problems.push({ kind: 'tooManyColumns', count: cells.length });
  if (openQuote) problems.push({ kind: 'openQuote' });
  const suggestion = badName && name !== '' ? (suggestName(name) ?? `student-${number}`) : undefined;
  return { number, text, name, displayName, password, role: role ?? student, problems, suggestion };
}

type Separator = 'tab' | 'comma' | 'blank';

function splitColumns(line: string): { cells: string[]; openQuote: boolean } {
  const text = line.trim();
  const separator = separatorOf(line);
  // A tab at the beginning or end is an empty column; blanks around a line are nothing.
  const source = separator === 'tab' ? line : text;
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < source.length; at += 1) {
    const character = source.charAt(at);
    if (quoted && character === '"' && source.charAt(at + 1) === '"') {
      cell += '"';
      at += 1;
    } else if (character === '"' && (quoted || cell.trim() === '')) {
      quoted = !quoted;
    } else if (!quoted && separates(character, separator)) {
      cells.push(cell.trim());
      cell = '';
      while (separator === 'blank' && separates(source.charAt(at + 1), separator)) at += 1;
    } else {
      cell += character;
    }
  }
  cells.push(cell.trim());
  while (cells.length > 1 && cells.at(-1) === '') cells.pop();
  return { cells, openQuote: quoted };
}

/** A tab wins over a comma, a comma over blanks, so that the names people have may hold the weaker ones. */
function separatorOf(line: string): Separator {
  const unquoted = line.replace(/"(?:[^"]|"")*"/g, '');
  if (unquoted.includes('\t')) return 'tab';
  return /[,，]/.test(unquoted) ? 'comma' : 'blank';
}

function separates(character: string, separator: Separator): boolean {
  if (separator === 'tab') return character === '\t';
  if (separator === 'comma') return character === ',' || character === '，';
  return character !== '' && /\s/.test(character);
}
