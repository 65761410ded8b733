import { useState } from 'react';
import { ApiError } from '../../api/errors';
import { Button } from '../../components/button';
import { useErrorText } from '../../components/error-text';
import { Field } from '../../components/field';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { onlyProblems, useForm } from '../../components/use-form';
import { passwordProblem } from '../../domain/passwords';
import { useMessages } from '../../i18n/language';
import { Link } from '../../routing/location';
import { changePassword } from '../../session/calls';
import { useSession, useSessionState } from '../../session/session';

/** Everybody's own password. */
export default function PasswordPage() {
  const { password: words, notFound } = useMessages();
  const [done, setDone] = useState(false);
  return (
    <Page title={words.title} lead={words.lead} width="narrow">
      {done ? (
        <>
          <Notice kind="success">{words.done}</Notice>
          <Link to="/" className="button primary">
            {notFound.home}
          </Link>
        </>
      ) : (
        <PasswordForm onDone={() => setDone(true)} />
      )}
    </Page>
  );
}

function PasswordForm({ onDone }: { onDone: () => void }) {
  const { password: words } = useMessages();
  const { username } = useSession();
  const { entered } = useSessionState();
  const errorText = useErrorText();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [repeated, setRepeated] = useState('');

  const { form, busy, error, problems, submit } = useForm<'currentPassword' | 'newPassword' | 'password' | 'repeated'>({
    check: () => {
      const bad = passwordProblem(next);
      return onlyProblems({
        currentPassword: current === '' ? words.missing : undefined,
        newPassword: bad ? words[bad] : next === current ? words.same : undefined,
        password: undefined,
        repeated: next === repeated ? undefined : words.different,
      });
    },
    send: async () => {
      entered(await changePassword(current, next));
      onDone();
    },
  });

  const wrong = error instanceof ApiError && error.code === 401;
  return (
    <form ref={form} className="card form" onSubmit={submit} noValidate>
      {error !== undefined && <Notice kind="error">{wrong ? words.wrong : errorText(error)}</Notice>}
      <input className="visually-hidden" type="text" name="username" autoComplete="username" value={username ?? ''} readOnly tabIndex={-1} aria-hidden="true" />
      <Field
        label={words.current}
        name="currentPassword"
        type="password"
        autoComplete="current-password"
        value={current}
        onChange={setCurrent}
        problem={problems.currentPassword ?? (wrong ? words.wrong : undefined)}
      />
      <Field
        label={words.next}
        name="newPassword"
        type="password"
        autoComplete="new-password"
        value={next}
        onChange={setNext}
        hint={words.hint}
        problem={problems.newPassword ?? problems.password}
      />
      <Field
        label={words.repeat}
        name="repeated"
        type="password"
        autoComplete="new-password"
        value={repeated}
        onChange={setRepeated}
        problem={problems.repeated}
      />
      <Button type="submit" kind="primary" size="large" busy={busy}>
        {words.submit}
      </Button>
    </form>
  );
}
