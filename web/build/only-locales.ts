import type { Plugin } from 'vite';

const localeFile = /react-aria(?:-components)?[\\/].*[\\/]intl[\\/].*[\\/]?([a-z]{2}-[A-Z]{2})\.m?js$/;

/** Leaves out React Aria's own strings in languages that the dashboard does not speak. */
export function onlyLocales(locales: readonly string[]): Plugin {
  return {
    name: 'only-locales',
    enforce: 'pre',
    load(id) {
      const locale = localeFile.exec(id)?.[1];
      return locale !== undefined && !locales.includes(locale) ? 'export default undefined;' : null;
    },
  };
}
