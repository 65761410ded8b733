import { gzipSync } from 'node:zlib';
import type { Plugin, Rollup } from 'vite';

/** Prints what a browser must load before the first page shows, and fails the build above the limit. */
export function sizeBudget(limitKiB: number): Plugin {
  return {
    name: 'size-budget',
    apply: 'build',
    generateBundle(_options, bundle) {
      const initial = initialChunks(bundle);
      const bytes = initial.reduce((sum, chunk) => sum + gzipSync(chunk.code, { level: 9 }).length, 0);
      const kib = bytes / 1024;
      const line = `initial JavaScript: ${kib.toFixed(1)} KiB gzip in ${initial.length} file(s), limit ${limitKiB} KiB`;
      if (kib > limitKiB) this.error(line);
      this.info(line);
    },
  };
}

/** The entry and everything it imports statically. */
function initialChunks(bundle: Rollup.OutputBundle): Rollup.OutputChunk[] {
  const found = new Map<string, Rollup.OutputChunk>();
  const visit = (name: string): void => {
    const item = bundle[name];
    if (item?.type !== 'chunk' || found.has(name)) return;
    found.set(name, item);
    item.imports.forEach(visit);
  };
  for (const item of Object.values(bundle)) {
    if (item.type === 'chunk' && item.isEntry) visit(item.fileName);
  }
  return [...found.values()];
}
