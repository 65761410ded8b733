import { useState, type ReactNode } from 'react';
import { forEachOf, type Failure } from '../domain/batch';
import { useMessages } from '../i18n/language';
import { Button } from './button';
import { Dialog } from './dialog';
import { useErrorText } from './error-text';
import { Notice } from './notice';

interface Props {
  title: string;
  text: string;
  action: string;
  dangerous?: boolean;
  /** What it is done to, by name. */
  names: readonly string[];
  act: (name: string) => Promise<unknown>;
  onClose: () => void;
  children?: ReactNode;
}

/** Asks, does the same to many while it shows how far it is, and tells what could not be done. */
export function BatchDialog({ title, text, action, dangerous, names, act, onClose, children }: Props) {
  const { users: messages, common } = useMessages();
  const errorText = useErrorText();
  const [done, setDone] = useState<number>();
  const [failures, setFailures] = useState<Failure<string>[]>();

  const run = async (): Promise<void> => {
    setDone(0);
    const failed = await forEachOf(names, act, { done: () => setDone((count = 0) => count + 1) });
    if (failed.length === 0) onClose();
    else setFailures(failed);
  };

  return (
    <Dialog title={title} onClose={onClose} role="alertdialog">
      {done === undefined && (
        <>
          <p>{text}</p>
          {children}
          <div className="dialog-actions">
            <Button onPress={onClose}>{common.cancel}</Button>
            <Button kind={dangerous ? 'danger' : 'primary'} onPress={() => void run()}>
              {action}
            </Button>
          </div>
        </>
      )}
      {done !== undefined && failures === undefined && <BatchProgress done={done} all={names.length} text={messages.bulkProgress(done, names.length)} />}
      {failures !== undefined && (
        <>
          <Notice kind="error" title={messages.bulkFailed(failures.length)}>
            <ul>
              {failures.map(({ item, error }) => (
                <li key={item}>
                  <strong>{item}</strong>: {errorText(error)}
                </li>
              ))}
            </ul>
          </Notice>
          <div className="dialog-actions">
            <Button onPress={onClose}>{common.close}</Button>
          </div>
        </>
      )}
    </Dialog>
  );
}

export function BatchProgress({ done, all, text }: { done: number; all: number; text: string }) {
  return (
    <div className="batch-progress">
      <p role="status">{text}</p>
      <progress value={done} max={all} aria-label={text} />
    </div>
  );
}
