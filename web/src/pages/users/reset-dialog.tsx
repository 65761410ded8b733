import { useState } from 'react';
import { users } from '../../api/resources';
import { Button } from '../../components/button';
import { Choice } from '../../components/choice';
import { CopyButton } from '../../components/copy-button';
import { Dialog } from '../../components/dialog';
import { useErrorText } from '../../components/error-text';
import { Field } from '../../components/field';
import { Notice } from '../../components/notice';
import { useForm } from '../../components/use-form';
import { generatePassword, passwordProblem } from '../../domain/passwords';
import { useMessages } from '../../i18n/language';

/** A new password for somebody who has forgotten theirs: made up and shown once, or typed. */
export function ResetDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const { users: messages, common, password: words } = useMessages();
  const errorText = useErrorText();
  const [how, setHow] = useState<'generated' | 'typed'>('generated');
  const [typed, setTyped] = useState('');
  const [set, setSet] = useState<{ password: string | undefined }>();

  const { form, busy, error, problems, submit } = useForm<'password'>({
    check: () => {
      const bad = how === 'typed' ? passwordProblem(typed) : undefined;
      return bad ? { password: words[bad] } : {};
    },
    send: async () => {
      const password = how === 'typed' ? typed : generatePassword();
      await users.patch(name, { spec: { password } });
      setSet({ password: how === 'typed' ? undefined : password });
    },
  });

  if (set) return <Done name={name} password={set.password} onClose={onClose} />;
  return (
    <Dialog title={messages.resetTitle(name)} onClose={onClose}>
      <form ref={form} className="form" onSubmit={submit} noValidate>
        <p>{messages.resetText}</p>
        {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
        <Choice
          legend={messages.resetHow}
          value={how}
          onChange={setHow}
          options={[
            { value: 'generated', label: messages.resetGenerate },
            { value: 'typed', label: messages.resetTyped },
          ]}
        />
        {how === 'typed' && (
          <Field
            label={words.next}
            name="password"
            type="password"
            autoComplete="new-password"
            value={typed}
            onChange={setTyped}
            hint={words.hint}
            problem={problems.password}
          />
        )}
        <div className="dialog-actions">
          <Button onPress={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {messages.resetSubmit}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Done({ name, password, onClose }: { name: string; password: string | undefined; onClose: () => void }) {
  const { users: messages, common } = useMessages();
  return (
    <Dialog title={messages.resetTitle(name)} onClose={onClose} role="alertdialog">
      <p role="status">{password === undefined ? messages.resetDoneTyped : messages.resetDone}</p>
      {password !== undefined && (
        <p className="secret">
          <code>{password}</code>
          <CopyButton text={password} />
        </p>
      )}
      <div className="dialog-actions">
        <Button kind="primary" onPress={onClose}>
          {common.close}
        </Button>
      </div>
    </Dialog>
  );
}
