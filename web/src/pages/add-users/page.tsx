import { useMemo, useRef, useState } from 'react';
import { BatchProgress } from '../../components/batch-dialog';
import { Button } from '../../components/button';
import { ConnectionNotice } from '../../components/connection-notice';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { useMessages } from '../../i18n/language';
import { Link } from '../../routing/location';
import { generatePassword } from '../../domain/passwords';
import { useUsers } from '../../session/collections';
import { useNewUsers, type Created } from '../../session/new-users';
import { parseUserList, withSuggestions, type ParsedLine, type UserList } from './parse';
import { Preview } from './preview';
import { Results } from './results';

/** A class at once: paste, look, create. What fails stays in the box to be corrected. */
export default function AddUsersPage() {
  const { add } = useMessages();
  const users = useUsers();
  const [text, setText] = useState('');
  const { progress, created, errors, create, take } = useNewUsers();
  const box = useRef<HTMLTextAreaElement>(null);

  const existing = useMemo(() => new Set(users.items?.keys() ?? []), [users.items]);
  const list = useMemo(() => parseUserList(text, existing), [text, existing]);
  const { heading, lines } = list;
  const valid = lines.filter((line) => line.problems.length === 0);
  const invalid = lines.length - valid.length;
  const suggestions = lines.filter((line) => line.suggestion !== undefined).length;

  const submit = async (): Promise<void> => {
    const made = await create(valid.map((line) => ({ key: line.text, user: userOf(line) })));
    const left = lines.filter((line) => !made.has(line.name) || line.problems.length > 0).map((line) => line.text);
    setText(left.length > 0 && heading ? [heading.text, ...left].join('\n') : left.join('\n'));
    if (left.length > 0) box.current?.focus();
  };

  return (
    <Page title={add.title} lead={add.lead}>
      <ConnectionNotice connection={users.connection} retryNow={users.retryNow} shown={users.items !== undefined} />
      {created.length > 0 && <Results created={created} onTaken={take} />}
      {errors.size > 0 && <Notice kind="error">{add.failed(errors.size)}</Notice>}
      <div className="two-columns">
        <section className="card">
          <label htmlFor="user-list">{add.box}</label>
          <p className="hint" id="user-list-hint">
            <code>{add.columns}</code>
            <br />
            {add.boxHint}
          </p>
          <textarea
            id="user-list"
            ref={box}
            value={text}
            onChange={(event) => setText(event.target.value)}
            readOnly={progress !== undefined}
            rows={14}
            spellCheck={false}
            placeholder={add.example}
            aria-describedby="user-list-hint"
            aria-invalid={invalid > 0 || errors.size > 0}
          />
          <div className="actions">
            {text === '' && (
              <Button kind="quiet" onPress={() => setText(add.example)}>
                {add.insertExample}
              </Button>
            )}
            {suggestions > 0 && <Button onPress={() => setText(withSuggestions(text, lines))}>{add.useSuggestions(suggestions)}</Button>}
          </div>
        </section>
        <section className="card">
          <h2>{add.preview}</h2>
          {progress ? (
            <BatchProgress done={progress.done} all={progress.all} text={add.progress(progress.done, progress.all)} />
          ) : (
            <CheckedLines list={list} errors={errors} />
          )}
          {!progress && invalid > 0 && <p className="problem">{add.invalidLeft(invalid)}</p>}
          <div className="actions">
            <Button kind="primary" size="large" disabled={valid.length === 0 && !progress} busy={progress !== undefined} onPress={() => void submit()}>
              {add.submit(progress?.all ?? valid.length)}
            </Button>
            <Link to="/users" className="button quiet">
              {add.toUsers}
            </Link>
          </div>
        </section>
      </div>
    </Page>
  );
}

function CheckedLines({ list, errors }: { list: UserList; errors: ReadonlyMap<string, unknown> }) {
  const { add } = useMessages();
  if (list.lines.length === 0) return <p className="hint">{add.previewEmpty}</p>;
  return (
    <>
      {list.heading && (
        <ul className="hint">
          {list.heading.columns.map(({ title, column }, at) => (
            <li key={at}>
              {title}: {add.columnNames[column]}
            </li>
          ))}
        </ul>
      )}
      <Preview lines={list.lines} errors={errors} />
    </>
  );
}

function userOf({ name, displayName, password, role }: ParsedLine): Created {
  const generated = password === '';
  return { name, chineseName: displayName, password: generated ? generatePassword() : password, role, generated };
}
