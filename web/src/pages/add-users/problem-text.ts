import { nameProblemText } from '../../domain/name-text';
import type { Messages } from '../../i18n/messages';
import type { LineProblem } from './parse';

/** Says what is wrong with a line. */
export function lineProblemText(problem: LineProblem, messages: Messages): string {
  const { add } = messages;
  switch (problem.kind) {
    case 'name':
      return nameProblemText(problem.problem, messages);
    case 'duplicate':
      return add.duplicate(problem.line);
    case 'exists':
      return add.exists;
    case 'unknownRole':
      return add.unknownRole(problem.word);
    case 'noNameColumn':
      return add.noNameColumn;
    case 'unnamedColumn':
      return add.unnamedColumn(problem.word);
    case 'numberAsDisplayName':
      return add.numberAsDisplayName;
    case 'spoiltNumber':
      return add.spoiltNumber;
    case 'shortPassword':
      return add.shortPassword;
    case 'openQuote':
      return add.openQuote;
  }
}
