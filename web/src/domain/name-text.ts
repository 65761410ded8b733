import type { Messages } from '../i18n/messages';
import type { NameProblem } from './names';

/** Says what is wrong with a name. */
export function nameProblemText(problem: NameProblem, { names }: Messages): string {
  switch (problem.kind) {
    case 'empty':
      return names.empty;
    case 'tooLong':
      return names.tooLong(problem.length);
    case 'characters':
      return names.characters(problem.found);
    case 'ends':
      return names.ends;
  }
}
