import { useState } from 'react';
import { startDevice } from '../../api/resources';
import type { Sandbox } from '../../api/types';
import { Button } from '../../components/button';
import { Choice } from '../../components/choice';
import { useErrorText } from '../../components/error-text';
import { Play } from '../../components/icons';
import { Notice } from '../../components/notice';
import { useLanguage } from '../../i18n/language';
import { EndedNotice } from './ended-notice';

/** Nothing runs: what would you like to start? With one kind of environment there is nothing to choose. */
export function Stopped({ owner, offered }: { owner: string; offered: readonly Sandbox[] | undefined }) {
  const { language, messages } = useLanguage();
  const { environment } = messages;
  const errorText = useErrorText();
  const [chosen, setChosen] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const sandbox = chosen ?? offered?.[0]?.metadata.name;

  const start = async (safeMode: boolean): Promise<void> => {
    if (sandbox === undefined) return;
    setBusy(true);
    setError(undefined);
    try {
      await startDevice(owner, sandbox, { language, safeMode: safeMode || undefined });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <section className="card state-card">
      <h2>{environment.stoppedTitle}</h2>
      <p className="lead">{environment.stoppedText}</p>
      <EndedNotice owner={owner} />
      {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
      {offered?.length === 0 && <Notice kind="warning">{environment.noSandboxes}</Notice>}
      {offered && offered.length > 1 && (
        <Choice
          look="cards"
          legend={environment.choose}
          options={offered.map(({ metadata, spec }) => ({
            value: metadata.name,
            label: spec.displayTitle ?? metadata.name,
            ...(spec.description !== undefined && { hint: spec.description }),
          }))}
          value={sandbox ?? ''}
          onChange={setChosen}
        />
      )}
      {offered?.length === 1 && <OnlyOne sandbox={offered[0]} />}
      <div className="actions">
        <Button kind="primary" size="large" busy={busy} disabled={sandbox === undefined} onPress={() => void start(false)}>
          {!busy && <Play />}
          {environment.start}
        </Button>
        <Button kind="quiet" disabled={busy || sandbox === undefined} onPress={() => void start(true)}>
          {environment.startSafely}
        </Button>
      </div>
    </section>
  );
}

function OnlyOne({ sandbox }: { sandbox: Sandbox | undefined }) {
  if (!sandbox) return null;
  const { displayTitle, description } = sandbox.spec;
  return (
    <p className="only-one">
      <strong>{displayTitle ?? sandbox.metadata.name}</strong>
      {description !== undefined && <span className="hint">{description}</span>}
    </p>
  );
}
