/** Names of users are DNS labels: they become names of directories, containers and hosts. */
export const longestName = 63;

export type NameProblem =
  | { kind: 'empty' }
  | { kind: 'tooLong'; length: number }
  | { kind: 'characters'; found: string }
  | { kind: 'ends' };

export function nameProblem(name: string): NameProblem | undefined {
  if (name === '') return { kind: 'empty' };
  const found = [...new Set(name.match(/[^a-z0-9-]/gu))].join('');
  if (found !== '') return { kind: 'characters', found };
  if (name.length > longestName) return { kind: 'tooLong', length: name.length };
  if (name.startsWith('-') || name.endsWith('-')) return { kind: 'ends' };
  return undefined;
}

/** The nearest possible name: “Wang_Fang” → “wang-fang”, “Zoë” → “zoe”. Undefined where nothing is left of it. */
export function suggestName(name: string): string | undefined {
  const label = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, longestName)
    .replace(/^-+|-+$/g, '');
  return label === '' || label === name ? undefined : label;
}
