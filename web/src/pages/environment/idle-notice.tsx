import { useState } from 'react';
import { serverNow } from '../../api/clock';
import { keepDevice } from '../../api/resources';
import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { useErrorText } from '../../components/error-text';
import { Notice } from '../../components/notice';
import { ServerText } from '../../components/server-text';
import { idleSoon } from '../../domain/devices';
import { moment } from '../../i18n/format';
import { useLanguage } from '../../i18n/language';

const hour = 3_600_000;
const choices = [2, 12];

/** It is ended soon, as nobody uses it: keep it. And how long it is kept already. */
export function IdleNotice({ device }: { device: Device }) {
  const { language, messages } = useLanguage();
  const { environment } = messages;
  const errorText = useErrorText();
  const [busy, setBusy] = useState<number>();
  const [error, setError] = useState<unknown>();
  const soon = idleSoon(device);
  const { keepUntil } = device.spec;

  const keep = async (hours: number): Promise<void> => {
    setBusy(hours);
    setError(undefined);
    try {
      await keepDevice(device.metadata.name, new Date(serverNow() + hours * hour));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(undefined);
    }
  };

  if (!soon) {
    if (keepUntil === undefined || Date.parse(keepUntil) <= serverNow()) return null;
    return <p className="hint">{environment.keptUntil(moment(keepUntil, language))}</p>;
  }
  const buttons = choices.map((hours) => (
    <Button key={hours} busy={busy === hours} disabled={busy !== undefined} onPress={() => void keep(hours)}>
      {environment.keep(hours)}
    </Button>
  ));
  return (
    <>
      {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
      <Notice kind="warning" title={environment.idleTitle} actions={buttons}>
        <ServerText reason={soon.reason} message={soon.message} />
      </Notice>
    </>
  );
}
