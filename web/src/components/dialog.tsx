import { useState, type ReactNode } from 'react';
import { Dialog as AriaDialog } from 'react-aria-components/Dialog';
import { Heading } from 'react-aria-components/Heading';
import { Modal, ModalOverlay } from 'react-aria-components/Modal';
import { useMessages } from '../i18n/language';
import { Button } from './button';
import { useErrorText } from './error-text';
import { Notice } from './notice';

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  role?: 'dialog' | 'alertdialog';
  wide?: boolean;
}

/** A window over the page: holds the focus, closes with Escape, gives the focus back. */
export function Dialog({ title, onClose, children, role = 'dialog', wide }: DialogProps) {
  return (
    <ModalOverlay
      className="overlay"
      isOpen
      isDismissable={role === 'dialog'}
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
    >
      <Modal className={wide ? 'modal wide' : 'modal'}>
        <AriaDialog className="dialog" role={role}>
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  onClose: () => void;
  /** The dialog stays, and shows the error, where this fails. */
  onConfirm: () => Promise<unknown>;
  dangerous?: boolean;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, text, action, onClose, onConfirm, dangerous = true }: ConfirmProps) {
  const messages = useMessages();
  const errorText = useErrorText();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  const confirm = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <Dialog title={title} onClose={onClose} role="alertdialog">
      <p>{text}</p>
      {error !== undefined && <Notice kind="error">{errorText(error)}</Notice>}
      <div className="dialog-actions">
        <Button onPress={onClose}>{messages.common.cancel}</Button>
        <Button kind={dangerous ? 'danger' : 'primary'} busy={busy} onPress={() => void confirm()}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
