import { useEffect, useRef } from 'react';
import { Button } from '../../components/button';
import { CopyButton } from '../../components/copy-button';
import { useMessages } from '../../i18n/language';
import type { Created } from '../../session/new-users';
import { csvOf, tabbedOf } from './export';

/** Who was created, with the passwords that are shown only here. */
export function Results({ created, onTaken }: { created: readonly Created[]; onTaken: () => void }) {
  const { add, users, roles } = useMessages();
  const heading = useRef<HTMLHeadingElement>(null);
  const { length } = created;
  useEffect(() => heading.current?.focus(), [length]);

  const header = [users.columns.name, users.columns.displayName, add.password, users.columns.role];
  const rows = created.map((user) => [user.name, user.chineseName, user.password, roles[user.role]]);
  const save = (): void => {
    download('users.csv', csvOf([header, ...rows]));
    onTaken();
  };

  return (
    <section className="card results">
      <h2 ref={heading} tabIndex={-1}>
        {add.created(length)}
      </h2>
      <p>{add.resultsHint}</p>
      <div className="scroll-box" role="region" tabIndex={0} aria-label={add.results}>
        <table className="table compact" role="table">
          <thead role="rowgroup">
            <tr role="row">
              {header.map((text) => (
                <th key={text} scope="col" role="columnheader">
                  {text}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {created.map((user) => (
              <tr key={user.name} role="row">
                <th scope="row" role="rowheader" data-label={header[0]}>
                  {user.name}
                </th>
                <td role="cell" data-label={header[1]}>
                  {user.chineseName}
                </td>
                <td role="cell" data-label={header[2]}>
                  {user.generated ? <code>{user.password}</code> : add.given}
                </td>
                <td role="cell" data-label={header[3]}>
                  {roles[user.role]}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className="actions">
        <CopyButton text={tabbedOf(rows)} label={add.copyList} onCopied={onTaken} />
        <Button onPress={save}>{add.saveList}</Button>
      </div>
    </section>
  );
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
