import type { Phase } from '../api/types';
import { useMessages } from '../i18n/language';

export function PhaseBadge({ phase }: { phase: Phase | 'None' }) {
  const { phases } = useMessages();
  return <span className={`badge phase-${phase.toLowerCase()}`}>{phases[phase]}</span>;
}
