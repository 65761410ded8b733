import { useState } from 'react';
import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { Confirm } from '../../components/dialog';
import { useMessages } from '../../i18n/language';
import { stopDevice } from '../../session/device-actions';

export function StopButton({ device, label }: { device: Device; label?: string }) {
  const { environment } = useMessages();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Button onPress={() => setAsking(true)}>{label ?? environment.stop}</Button>
      {asking && (
        <Confirm
          title={environment.stopTitle}
          text={environment.stopText}
          action={environment.stop}
          onClose={() => setAsking(false)}
          onConfirm={() => stopDevice(device.metadata.name)}
        />
      )}
    </>
  );
}
