import { useMemo, useState, type ReactNode } from 'react';
import { useLanguage } from '../i18n/language';
import { SortDown, SortMark, SortUp } from './icons';

export interface Sorting<Key extends string> {
  key: Key;
  down: boolean;
}

/** Rows in the order of one of their texts; numbers inside a text count as numbers. */
export function useSorted<Row, Key extends string>(rows: readonly Row[], text: (row: Row, key: Key) => string, first: NoInfer<Key>) {
  const { language } = useLanguage();
  const [sorting, setSorting] = useState<Sorting<Key>>({ key: first, down: false });
  const sorted = useMemo(() => {
    const collator = new Intl.Collator(language, { numeric: true });
    const sign = sorting.down ? -1 : 1;
    return [...rows].sort((a, b) => sign * collator.compare(text(a, sorting.key), text(b, sorting.key)));
  }, [rows, text, sorting, language]);
  const sortBy = (key: Key): void => setSorting((before) => ({ key, down: before.key === key && !before.down }));
  return { sorted, sorting, sortBy };
}

interface SortHeadProps<Key extends string> {
  by: Key;
  sorting: Sorting<Key>;
  sortBy: (key: Key) => void;
  children: ReactNode;
}

export function SortHead<Key extends string>({ by, sorting, sortBy, children }: SortHeadProps<Key>) {
  const active = sorting.key === by;
  const Mark = !active ? SortMark : sorting.down ? SortDown : SortUp;
  return (
    <th scope="col" role="columnheader" aria-sort={active ? (sorting.down ? 'descending' : 'ascending') : 'none'}>
      <button type="button" className={active ? 'sort active' : 'sort'} onClick={() => sortBy(by)}>
        {children}
        <Mark />
      </button>
    </th>
  );
}

/** Rows beyond these are drawn when asked for: a page of thousands of rows is slow to everybody. */
const step = 100;

export function useShownRows<Row>(rows: readonly Row[]) {
  const [limit, setLimit] = useState(step);
  return { shown: rows.slice(0, limit), hidden: Math.max(0, rows.length - limit), showMore: () => setLimit(limit + step), step };
}
