import { useState } from 'react';
import { startDevice } from '../../api/resources';
import { BatchDialog } from '../../components/batch-dialog';
import { Pick } from '../../components/choice';
import { useMessages } from '../../i18n/language';
import { choosable, titleOf, useSandboxes } from '../../session/sandboxes';

/** Starts an environment for each of several users. */
export function StartDialog({ owners, onClose }: { owners: readonly string[]; onClose: () => void }) {
  const { users: messages, environment } = useMessages();
  const { offered } = useSandboxes();
  const [chosen, setChosen] = useState<string>();
  const names = choosable(offered)?.map((sandbox) => sandbox.metadata.name) ?? [];
  const sandbox = chosen ?? names[0] ?? 'jupyter-lab';
  return (
    <BatchDialog
      title={messages.startTitle(owners.length)}
      text={messages.startText}
      action={environment.start}
      names={owners}
      act={(owner) => startDevice(owner, sandbox)}
      onClose={onClose}
    >
      <p>{owners.slice(0, 10).join(', ') + (owners.length > 10 ? ' …' : '')}</p>
      {names.length > 1 && (
        <Pick label={messages.sandbox} value={sandbox} onChange={setChosen} options={names.map((value) => ({ value, label: titleOf(value, offered) }))} />
      )}
    </BatchDialog>
  );
}
