import type { ReactNode } from 'react';
import { Button as AriaButton } from 'react-aria-components/Button';
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

export function Button({ children, kind = 'plain', size, busy, disabled, label, className, type = 'button', ...rest }: ButtonProps) {
  const classes = ['button', kind, size, className].filter(Boolean).join(' ');
  return (
    <AriaButton
      {...rest}
      type={type}
      className={classes}
      isPending={busy ?? false}
      isDisabled={disabled ?? false}
      {...(label !== undefined && { 'aria-label': label })}
    >
      {busy && <Spinner />}
      {children}
    </AriaButton>
  );
}
