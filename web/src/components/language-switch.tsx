import { tableOf, useLanguage } from '../i18n/language';
import { languages } from '../i18n/messages';

/** Both languages under their own names, so that nobody has to read a foreign one to find theirs. */
export function LanguageSwitch() {
  const { language, messages, choose } = useLanguage();
  return (
    <div className="language-switch" role="group" aria-label={messages.shell.language}>
      {languages.map((each) => (
        <button key={each} type="button" lang={each} aria-pressed={each === language} onClick={() => choose(each)}>
          {tableOf(each).languageName}
        </button>
      ))}
    </div>
  );
}
