/** How far the server's clock is ahead of this browser's, in milliseconds, as seen in `Date` headers. */
let offset = 0;

export function noteServerDate(header: string | null): void {
  const time = header === null ? NaN : Date.parse(header);
  if (Number.isNaN(time)) return;
  const seen = time - Date.now();
  // The header has whole seconds: a smaller difference than that says nothing.
  offset = Math.abs(seen) < 2000 ? 0 : seen;
}

/** The present moment by the server's clock: what timestamps in objects are compared with. */
export function serverNow(): number {
  return Date.now() + offset;
}
