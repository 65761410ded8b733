import { useState } from 'react';
import { useMessages } from '../i18n/language';
import { useAnnounce } from './announcer';
import { Button } from './button';

interface Props {
  text: string;
  label?: string;
  onCopied?: () => void;
}

export function CopyButton({ text, label, onCopied }: Props) {
  const { common } = useMessages();
  const announce = useAnnounce();
  const [copied, setCopied] = useState(false);

  const copy = async (): Promise<void> => {
    await copyText(text);
    setCopied(true);
    announce(common.copied);
    onCopied?.();
    setTimeout(() => setCopied(false), 2000);
  };

  return <Button onPress={() => void copy()}>{copied ? common.copied : (label ?? common.copy)}</Button>;
}

/** The clipboard's own API works on HTTPS and loopback alone; a class-room network may have neither. */
async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = document.createElement('textarea');
  box.value = text;
  box.className = 'visually-hidden';
  const place = document.activeElement?.closest('[role="dialog"]') ?? document.body;
  place.append(box);
  box.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else works without HTTPS
  document.execCommand('copy');
  box.remove();
}
