import { defineConfig } from 'vitest/config';
import { onlyLocales } from './build/only-locales';
import { sizeBudget } from './build/size-budget';

const server = process.env.OPENHYDRA_URL ?? 'http://127.0.0.1:30001';
const proxied = { target: server, changeOrigin: true, headers: { origin: new URL(server).origin } };

export default defineConfig({
  plugins: [onlyLocales(['en-US', 'zh-CN']), sizeBudget(250)],
  esbuild: { jsx: 'automatic' },
  build: {
    target: 'es2022',
    // Nothing inline: the content security policy allows scripts, styles and fonts from files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { port: 5173, proxy: { '/apis': proxied, '/auth': proxied } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
