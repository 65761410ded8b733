import { useState } from 'react';
import { ApiError } from '../../api/errors';
import { Button } from '../../components/button';
import { useErrorText } from '../../components/error-text';
import { Field } from '../../components/field';
import { NameField } from '../../components/name-field';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { onlyProblems, useForm } from '../../components/use-form';
import { nameProblemText } from '../../domain/name-text';
import { nameProblem } from '../../domain/names';
import { passwordProblem } from '../../domain/passwords';
import { useMessages } from '../../i18n/language';
import { Link, usePlace } from '../../routing/location';
import { setUp } from '../../session/calls';
import { useSessionState } from '../../session/session';

/** The page behind the one-use link that the server prints: the first administrator. */
export default function SetupPage() {
  const { setup } = useMessages();
  const { query } = usePlace();
  const code = query.get('code') ?? '';
  return (
    <Page title={setup.title} lead={setup.lead} width="narrow">
      {code === '' ? <Dead text={setup.noCode} /> : <SetupForm code={code} />}
    </Page>
  );
}

function Dead({ text }: { text: string }) {
  const { setup } = useMessages();
  return (
    <>
      <Notice kind="error">{text}</Notice>
      <Link to="/" className="button">
        {setup.toLogin}
      </Link>
    </>
  );
}

function SetupForm({ code }: { code: string }) {
  const messages = useMessages();
  const { setup, password: words } = messages;
  const { entered } = useSessionState();
  const { go } = usePlace();
  const errorText = useErrorText();
  const [username, setUsername] = useState('admin');
  const [chineseName, setChineseName] = useState('');
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');

  const { form, busy, error, problems, submit } = useForm<'username' | 'chineseName' | 'password' | 'repeated' | 'name'>({
    check: () => {
      const badName = nameProblem(username.trim());
      const badPassword = passwordProblem(password);
      return onlyProblems({
        username: badName && nameProblemText(badName, messages),
        chineseName: undefined,
        password: badPassword && words[badPassword],
        repeated: password === repeated ? undefined : words.different,
        name: undefined,
      });
    },
    send: async () => {
      entered(await setUp({ code, username: username.trim(), password, ...(chineseName !== '' && { chineseName }) }));
      go('/', { replace: true });
    },
  });

  if (error instanceof ApiError && error.code === 403) return <Dead text={setup.refused} />;
  return (
    <form ref={form} className="card form" onSubmit={submit} noValidate>
      {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
      <NameField label={setup.username} name="username" value={username} onChange={setUsername} problem={problems.username ?? problems.name} />
      <Field label={setup.displayName} name="chineseName" value={chineseName} onChange={setChineseName} autoComplete="name" optional problem={problems.chineseName} />
      <Field
        label={setup.password}
        name="password"
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={setPassword}
        hint={words.hint}
        problem={problems.password}
      />
      <Field
        label={setup.repeat}
        name="repeated"
        type="password"
        autoComplete="new-password"
        value={repeated}
        onChange={setRepeated}
        problem={problems.repeated}
      />
      <Button type="submit" kind="primary" size="large" busy={busy}>
        {setup.submit}
      </Button>
    </form>
  );
}
