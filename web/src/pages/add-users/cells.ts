type Separator = RegExp;

/** The stronger ones first, so that the names people have may hold the weaker ones. */
const separators: readonly Separator[] = [/\t/, /[;；]/, /[,，]/, /\|/, /、/];
const blanks: Separator = /\s/;

export interface Cells {
  cells: string[];
  openQuote: boolean;
}

/** The cells of one line; each line may have a separator of its own. Quoted ones are taken as they are. */
export function splitCells(line: string): Cells {
  const separator = separatorOf(line);
  // A tab at the beginning or end is an empty column; blanks around a line are nothing.
  const source = separator.test('\t') && separator !== blanks ? line : line.trim();
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
    } else if (!quoted && separator.test(character)) {
      cells.push(cell.trim());
      cell = '';
      while (separator === blanks && separator.test(source.charAt(at + 1))) at += 1;
    } else {
      cell += character;
    }
  }
  cells.push(cell.trim());
  while (cells.length > 1 && cells.at(-1) === '') cells.pop();
  return { cells, openQuote: quoted };
}

function separatorOf(line: string): Separator {
  const unquoted = line.replace(/"(?:[^"]|"")*"/g, '');
  return separators.find((separator) => separator.test(unquoted)) ?? blanks;
}
