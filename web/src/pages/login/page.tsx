import { useState } from 'react';
import { ApiError } from '../../api/errors';
import { Button } from '../../components/button';
import { useErrorText } from '../../components/error-text';
import { Field } from '../../components/field';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { onlyProblems, useForm } from '../../components/use-form';
import { useMessages } from '../../i18n/language';
import { usePlace } from '../../routing/location';
import { logIn } from '../../session/calls';
import { useSessionState } from '../../session/session';

/** Shown in place of a page that needs a login: the address stays, so the way back is there already. */
export function LoginPage() {
  const { login } = useMessages();
  const { session, expired, entered } = useSessionState();
  const { path } = usePlace();
  const errorText = useErrorText();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');

  const { form, busy, error, problems, submit } = useForm<'username' | 'password'>({
    check: () =>
      onlyProblems({
        username: username.trim() === '' ? login.noUsername : undefined,
        password: password === '' ? login.noPassword : undefined,
      }),
    send: async () => entered(await logIn(username.trim(), password)),
  });

  const wrong = error instanceof ApiError && error.code === 401;
  return (
    <Page title={login.title} lead={login.lead} width="narrow">
      {session?.setupRequired && <Notice kind="info">{login.setupRequired}</Notice>}
      {expired && <Notice kind="info">{login.expired}</Notice>}
      {!expired && path !== '/' && path !== '/login' && <Notice kind="info">{login.needed}</Notice>}
      <form ref={form} className="card form" onSubmit={submit} noValidate>
        {error !== undefined && <Notice kind="error">{wrong ? login.wrong : errorText(error)}</Notice>}
        <Field label={login.username} name="username" autoComplete="username" value={username} onChange={setUsername} problem={problems.username} first />
        <Field
          label={login.password}
          name="password"
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={setPassword}
          problem={problems.password}
        />
        <Button type="submit" kind="primary" size="large" busy={busy}>
          {login.submit}
        </Button>
      </form>
      <p className="hint centred">{login.forgotten}</p>
    </Page>
  );
}
