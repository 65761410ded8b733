import { useEffect, useRef, type ReactNode } from 'react';
import { usePlace } from '../routing/location';

interface PageProps {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  width?: 'narrow' | 'wide';
}

/** A page: its title in the browser's tab and as its heading, which gets the focus when somebody has navigated here. */
export function Page({ title, lead, actions, children, width = 'wide' }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { visit } = usePlace();

  useEffect(() => {
    document.title = `${title} · open-hydra`;
  }, [title]);

  useEffect(() => {
    if (visit > 0) heading.current?.focus({ preventScroll: true });
  }, [visit]);

  return (
    <div className={`page ${width}`}>
      <header className="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead !== undefined && <p className="lead">{lead}</p>}
        </div>
        {actions !== undefined && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
