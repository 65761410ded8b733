import { users } from '../../api/resources';
import type { Device, User } from '../../api/types';
import { useAnnounce } from '../../components/announcer';
import { BatchDialog } from '../../components/batch-dialog';
import { Confirm } from '../../components/dialog';
import { ownerOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { stopDevice } from '../../session/device-actions';
import { EditDialog } from './edit-dialog';
import { ResetDialog } from './reset-dialog';
import { StartDialog } from './start-dialog';

/** What an administrator is about to do. */
export type UserTask =
  | { kind: 'edit' | 'reset' | 'delete'; user: User }
  | { kind: 'start'; owners: readonly string[] }
  | { kind: 'stop'; devices: readonly Device[] };

interface Props {
  task: UserTask | undefined;
  onClose: () => void;
  onDeleted: (name: string) => void;
}

export function UserDialogs({ task, onClose, onDeleted }: Props) {
  if (!task) return null;
  switch (task.kind) {
    case 'edit':
      return <EditDialog user={task.user} onClose={onClose} />;
    case 'reset':
      return <ResetDialog name={task.user.metadata.name} onClose={onClose} />;
    case 'delete':
      return <DeleteDialog name={task.user.metadata.name} onClose={onClose} onDeleted={onDeleted} />;
    case 'start':
      return <StartDialog owners={task.owners} onClose={onClose} />;
    case 'stop':
      return <StopDialog devices={task.devices} onClose={onClose} />;
  }
}

function DeleteDialog({ name, onClose, onDeleted }: { name: string; onClose: () => void; onDeleted: (name: string) => void }) {
  const { users: messages, common } = useMessages();
  const announce = useAnnounce();
  const remove = async (): Promise<void> => {
    await users.remove(name);
    onDeleted(name);
    announce(messages.deleted(name));
  };
  return <Confirm title={messages.deleteTitle(name)} text={messages.deleteText} action={common.delete} onClose={onClose} onConfirm={remove} />;
}

export function StopDialog({ devices, onClose }: { devices: readonly Device[]; onClose: () => void }) {
  const { users: messages, devices: words, environment } = useMessages();
  const [only] = devices.length === 1 ? devices : [];
  return (
    <BatchDialog
      title={only ? words.stopTitle(ownerOf(only)) : messages.stopTitle(devices.length)}
      text={messages.stopText}
      action={environment.stop}
      dangerous
      names={devices.map((device) => device.metadata.name)}
      act={stopDevice}
      onClose={onClose}
    />
  );
}
