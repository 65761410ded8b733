/** The server's rule for every password (src/server/auth/password.h), so that a form says it before it sends. */
const shortest = 8;

export type PasswordProblem = 'missing' | 'tooShort';

export function passwordProblem(password: string): PasswordProblem | undefined {
  if (password === '') return 'missing';
  return Array.from(password).length < shortest ? 'tooShort' : undefined;
}

/** Letters and digits that nobody mistakes for one another on a sheet of paper. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** Three groups of four, “x7kp-m3wd-9htq”: 59 bits, and easy to type from a sheet. */
export function generatePassword(): string {
  const characters = Array.from({ length: 12 }, randomCharacter);
  return [0, 4, 8].map((start) => characters.slice(start, start + 4).join('')).join('-');
}

function randomCharacter(): string {
  // Values above the largest multiple would make the first letters likelier.
  const limit = 256 - (256 % alphabet.length);
  const byte = new Uint8Array(1);
  do crypto.getRandomValues(byte);
  while ((byte[0] ?? 0) >= limit);
  return alphabet.charAt((byte[0] ?? 0) % alphabet.length);
}
