import { useEffect, type ReactNode } from 'react';
import { Button as AriaButton } from 'react-aria-components/Button';
import { useMessages } from '../i18n/language';
import { useAnnounce } from './announcer';
import { Spinner } from './spinner';

interface ButtonProps {
  children: ReactNode;
  onPress?: () => void;
  kind?: 'primary' | 'plain' | 'quiet' | 'danger';
  size?: 'small' | 'large';
  type?: 'button' | 'submit';
  disabled?: boolean;
  /** Something begun by this button is not finished. The button keeps the focus and does nothing meanwhile. */
  busy?: boolean;
  label?: string;
  className?: string;
}

export function Button({ children, kind = 'plain', size, busy, disabled, label, className, type = 'button', onPress }: ButtonProps) {
  const { common } = useMessages();
  const announce = useAnnounce();
  useEffect(() => {
    if (busy) announce(common.working);
  }, [busy, announce, common]);

  const classes = ['button', kind, size, className].filter(Boolean).join(' ');
  return (
    <AriaButton
      type={busy ? 'button' : type}
      className={classes}
      isDisabled={disabled ?? false}
      {...(onPress && !busy && { onPress })}
      {...(busy && { 'aria-disabled': true })}
      {...(label !== undefined && { 'aria-label': label })}
    >
      {busy && <Spinner />}
      {children}
    </AriaButton>
  );
}
