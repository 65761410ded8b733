import { useState } from 'react';
import { users } from '../../api/resources';
import { administrator, student, type Role, type User } from '../../api/types';
import { useAnnounce } from '../../components/announcer';
import { Button } from '../../components/button';
import { Choice } from '../../components/choice';
import { Dialog } from '../../components/dialog';
import { useErrorText } from '../../components/error-text';
import { Field } from '../../components/field';
import { Notice } from '../../components/notice';
import { useForm } from '../../components/use-form';
import { useMessages } from '../../i18n/language';

export function EditDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const { users: messages, common, roles } = useMessages();
  const announce = useAnnounce();
  const errorText = useErrorText();
  const { name } = user.metadata;
  const [chineseName, setChineseName] = useState(user.spec.chineseName ?? '');
  const [description, setDescription] = useState(user.spec.description ?? '');
  const [email, setEmail] = useState(user.spec.email ?? '');
  const [role, setRole] = useState<Role>(user.spec.role ?? student);

  const { form, busy, error, problems, submit } = useForm<'chineseName' | 'description' | 'email' | 'role'>({
    check: () => ({}),
    send: async () => {
      await users.patch(name, { spec: changes(user, { chineseName, description, email, role }) });
      announce(messages.saved(name));
      onClose();
    },
  });

  return (
    <Dialog title={messages.editTitle(name)} onClose={onClose}>
      <form ref={form} className="form" onSubmit={submit} noValidate>
        {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
        <Field label={messages.displayName} name="chineseName" value={chineseName} onChange={setChineseName} problem={problems.chineseName} autoComplete="off" optional />
        <Field label={messages.email} name="email" type="email" value={email} onChange={setEmail} problem={problems.email} autoComplete="off" optional />
        <Field label={messages.description} name="description" value={description} onChange={setDescription} problem={problems.description} autoComplete="off" optional />
        <Choice
          legend={messages.role}
          value={role}
          onChange={setRole}
          options={[
            { value: student, label: roles[2] },
            { value: administrator, label: roles[1] },
          ]}
        />
        {problems.role !== undefined && <p className="problem">{problems.role}</p>}
        <div className="dialog-actions">
          <Button onPress={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {common.save}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Only what was changed here: a colleague's change to another field at the same time stays. */
function changes(user: User, next: Required<User['spec']>): Partial<User['spec']> {
  const before: Required<User['spec']> = { chineseName: '', description: '', email: '', role: student, ...user.spec };
  const changed = (Object.keys(next) as (keyof User['spec'])[]).filter((key) => next[key] !== before[key]);
  return Object.fromEntries(changed.map((key) => [key, next[key]]));
}
