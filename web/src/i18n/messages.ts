import type { en } from './en';

/** The shape of a table of texts: that of the English one, with any text in each place. */
type Widened<T> = T extends string ? string : T extends (...args: never[]) => unknown ? T : { [Key in keyof T]: Widened<T[Key]> };

export type Messages = Widened<typeof en>;

export type Language = 'en' | 'zh-CN';
export const languages: readonly Language[] = ['zh-CN', 'en'];

/** The first language that the browser asks for and that we have. */
export function preferredLanguage(asked: readonly string[]): Language {
  for (const tag of asked) {
    if (/^zh\b/i.test(tag)) return 'zh-CN';
    if (/^en\b/i.test(tag)) return 'en';
  }
  return 'en';
}
