import type { ReactNode } from 'react';
import { Check, Info, Warning } from './icons';

interface NoticeProps {
  kind: 'info' | 'warning' | 'error' | 'success';
  title?: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** Read out when it appears; errors interrupt, the rest waits. */
  live?: boolean;
}

const icons = { info: Info, warning: Warning, error: Warning, success: Check };

export function Notice({ kind, title, children, actions, live = true }: NoticeProps) {
  const Icon = icons[kind];
  const role = live ? (kind === 'error' ? 'alert' : 'status') : undefined;
  return (
    <div className={`notice ${kind}`} role={role}>
      <Icon />
      <div className="notice-body">
        {title !== undefined && <p className="notice-title">{title}</p>}
        {children !== undefined && <div>{children}</div>}
      </div>
      {actions !== undefined && <div className="notice-actions">{actions}</div>}
    </div>
  );
}
