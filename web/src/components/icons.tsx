import type { ReactNode } from 'react';

function icon(children: ReactNode) {
  return function Icon() {
    return (
      <svg className="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
        {children}
      </svg>
    );
  };
}

export const Check = icon(<path d="M5 12.5l4.5 4.5L19 7.5" />);
export const Cross = icon(<path d="M6 6l12 12M18 6L6 18" />);
export const Warning = icon(<path d="M12 4L2.5 20h19zM12 10v4M12 17v.5" />);
export const Info = icon(<path d="M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v5M12 7.5V8" />);
export const Play = icon(<path d="M8 5l11 7-11 7z" />);
export const External = icon(<path d="M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 01-1 1H5a1 1 0 01-1-1V7a1 1 0 011-1h5" />);
export const Eye = icon(<path d="M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z" />);
export const EyeOff = icon(<path d="M4 4l16 16M9.5 5.4A10 10 0 0112 5c6.5 0 10 7 10 7a17 17 0 01-3 3.900M6.3 7.200A16 16 0 002 12s3.5 7 10 7a9.5 9.5 0 004.5-1.100M10 10.200A3 3 0 0013.8 14" />);
export const More = icon(<path d="M5 12h.01M12 12h.01M19 12h.01" strokeWidth="3" />);
export const Plus = icon(<path d="M12 5v14M5 12h14" />);
export const Person = icon(<path d="M12 4a4 4 0 100 8 4 4 0 000-8zM4 20c.8-3.5 4-5 8-5s7.2 1.5 8 5" />);
export const SortMark = icon(<path d="M8 10l4-5 4 5M8 14l4 5 4-5" />);
export const SortUp = icon(<path d="M7 14l5-6 5 6" />);
export const SortDown = icon(<path d="M7 10l5 6 5-6" />);

export function Brand() {
  return (
    <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="brand-ground" />
      <g fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round">
        <path d="M16 26V9M16 22c-6 0-7-4-7-9M16 22c6 0 7-4 7-9" />
      </g>
      <g fill="#fff">
        <circle cx="16" cy="7.4" r="2.6" />
        <circle cx="9" cy="11.6" r="2.6" />
        <circle cx="23" cy="11.6" r="2.6" />
      </g>
    </svg>
  );
}
