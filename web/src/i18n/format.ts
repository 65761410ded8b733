import type { Language } from './messages';

/** “7.3 s”, “2 min 5 s”; seconds are enough once minutes have passed. */
export function duration(seconds: number, language: Language): string {
  const [second, minute, hour] = language === 'en' ? [' s', ' min', ' h'] : [' 秒', ' 分', ' 小时'];
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)}${second}`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole}${second}`;
  if (whole < 3600) return `${Math.floor(whole / 60)}${minute} ${whole % 60}${second}`;
  return `${Math.floor(whole / 3600)}${hour} ${Math.floor((whole % 3600) / 60)}${minute}`;
}

/** The time alone for today, with the date for other days. */
export function moment(timestamp: string, language: Language, now = Date.now()): string {
  const date = new Date(timestamp);
  const today = date.toDateString() === new Date(now).toDateString();
  return new Intl.DateTimeFormat(language, { ...(today ? {} : { dateStyle: 'medium' }), timeStyle: 'short' }).format(date);
}

/** What the server says, with its times (UTC) as those of the reader. */
export function withMoments(text: string, language: Language, now = Date.now()): string {
  return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, (timestamp) => moment(timestamp, language, now));
}

/** “3.2 GiB”, “512 MiB”. */
export function fileSize(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
