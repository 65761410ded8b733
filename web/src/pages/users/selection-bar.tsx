import { Button } from '../../components/button';
import { phaseOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import type { UserTask } from './dialogs';
import type { UserRow } from './rows';

interface Props {
  selected: readonly UserRow[];
  onTask: (task: UserTask) => void;
  onClear: () => void;
}

/** What can be done with those who are selected. */
export function SelectionBar({ selected, onTask, onClear }: Props) {
  const { users: messages } = useMessages();
  const owners = selected.filter((row) => !row.device).map((row) => row.name);
  const devices = selected.flatMap(({ device }) => (device && phaseOf(device) !== 'Stopping' ? [device] : []));
  return (
    <div className="selection-bar" role="group" aria-label={messages.selected(selected.length)}>
      <strong>{messages.selected(selected.length)}</strong>
      <Button kind="primary" disabled={owners.length === 0} onPress={() => onTask({ kind: 'start', owners })}>
        {messages.startSelected}
      </Button>
      <Button disabled={devices.length === 0} onPress={() => onTask({ kind: 'stop', devices })}>
        {messages.stopSelected}
      </Button>
      <Button kind="quiet" onPress={onClear}>
        {messages.clearSelection}
      </Button>
    </div>
  );
}
