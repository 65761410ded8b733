/** For a spreadsheet's clipboard. */
export function tabbedOf(rows: readonly string[][]): string {
  return rows.map((row) => row.map((cell) => cell.replace(/[\t\r\n]+/g, ' ')).join('\t')).join('\n');
}

/** With a byte order mark, or a spreadsheet program takes Chinese for something else. */
export function csvOf(rows: readonly string[][]): string {
  return '\uFEFF' + rows.map((row) => row.map(cellOf).join(',') + '\r\n').join('');
}

/** A cell that begins like a formula would be computed by the spreadsheet; the apostrophe says that it is text. */
function cellOf(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
