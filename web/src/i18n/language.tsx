import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { I18nProvider } from 'react-aria-components/I18nProvider';
import { en } from './en';
import { languages, preferredLanguage, type Language, type Messages } from './messages';
import { zh } from './zh';

const storageKey = 'open-hydra.language';
const tables: Record<Language, Messages> = { en, 'zh-CN': zh };

interface LanguageState {
  language: Language;
  messages: Messages;
  choose: (language: Language) => void;
}

const Context = createContext<LanguageState | undefined>(undefined);

export function useLanguage(): LanguageState {
  const state = useContext(Context);
  if (!state) throw new Error('no LanguageProvider');
  return state;
}

/** All texts in the language of the page. */
export function useMessages(): Messages {
  return useLanguage().messages;
}

/** The browser's language at first, then what the switch says; `<html lang>` follows. */
export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(initialLanguage);

  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  const state = useMemo<LanguageState>(
    () => ({
      language,
      messages: tables[language],
      choose(next) {
        localStorage.setItem(storageKey, next);
        setLanguage(next);
      },
    }),
    [language],
  );
  return (
    <Context value={state}>
      <I18nProvider locale={language === 'en' ? 'en-US' : language}>{children}</I18nProvider>
    </Context>
  );
}

function initialLanguage(): Language {
  const kept = localStorage.getItem(storageKey);
  return languages.find((language) => language === kept) ?? preferredLanguage(navigator.languages);
}

export function tableOf(language: Language): Messages {
  return tables[language];
}
