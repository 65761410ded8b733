import { expect, it } from 'vitest';
import { csvOf, tabbedOf } from './export';

it('writes CSV that a spreadsheet reads as text', () => {
  expect(csvOf([['a', '王, 芳', 'x"y'], ['=1+1', '-2', '']])).toBe('\uFEFFa,"王, 芳","x""y"\r\n\'=1+1,\'-2,\r\n');
});

it('writes lines of cells for the clipboard', () => {
  expect(tabbedOf([['a', 'b\tc'], ['d', 'e']])).toBe('a\tb c\nd\te');
});
