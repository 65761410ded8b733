import { useEffect, useMemo, useRef, useState } from 'react';
import { BatchProgress } from '../../components/batch-dialog';
import { Button } from '../../components/button';
import { ConnectionNotice } from '../../components/connection-notice';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { useMessages } from '../../i18n/language';
import { Link } from '../../routing/location';
import { useUsers } from '../../session/collections';
import { parseUserList, withSuggestions, type ParsedLine } from './parse';
import { Preview } from './preview';
import { Results } from './results';
import { useCreation } from './use-creation';

/** A class at once: paste, look, create. What fails stays in the box to be corrected. */
export default function AddUsersPage() {
  const { add } = useMessages();
  const users = useUsers();
  const [text, setText] = useState('');
  const { progress, created, errors, create } = useCreation();
  const box = useRef<HTMLTextAreaElement>(null);
  const [passwordsTaken, setPasswordsTaken] = useState(true);
  useLeaveWarning(!passwordsTaken);

  const existing = useMemo(() => new Set(users.items?.keys() ?? []), [users.items]);
  const lines = useMemo(() => parseUserList(text, existing), [text, existing]);
  const valid = lines.filter((line) => line.problems.length === 0);
  const invalid = lines.length - valid.length;
  const suggestions = lines.filter((line) => line.suggestion !== undefined).length;

  const submit = async (): Promise<void> => {
    const made = await create(valid);
    if (made.size > 0) setPasswordsTaken(false);
    const left = lines.filter((line) => !made.has(line.name) || line.problems.length > 0);
    setText(left.map((line) => line.text).join('\n'));
    if (left.length > 0) box.current?.focus();
  };

  return (
    <Page title={add.title} lead={add.lead}>
      <ConnectionNotice connection={users.connection} retryNow={users.retryNow} shown={users.items !== undefined} />
      {created.length > 0 && <Results created={created} onTaken={() => setPasswordsTaken(true)} />}
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
            <CheckedLines lines={lines} errors={errors} />
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

function CheckedLines({ lines, errors }: { lines: readonly ParsedLine[]; errors: ReadonlyMap<string, unknown> }) {
  const { add } = useMessages();
  return lines.length === 0 ? <p className="hint">{add.previewEmpty}</p> : <Preview lines={lines} errors={errors} />;
}

/** The browser asks before the page is closed with passwords that nobody has taken down. */
function useLeaveWarning(needed: boolean): void {
  useEffect(() => {
    if (!needed) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [needed]);
}
