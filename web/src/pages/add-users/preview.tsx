import { useErrorText } from '../../components/error-text';
import { useMessages } from '../../i18n/language';
import type { ParsedLine } from './parse';
import { lineProblemText } from './problem-text';

interface Props {
  lines: readonly ParsedLine[];
  /** What the server said about a line at the last try, by its text. */
  errors: ReadonlyMap<string, unknown>;
}

/** Every line as it was understood, with what is wrong about it. */
export function Preview({ lines, errors }: Props) {
  const { add, users } = useMessages();
  return (
    <div className="scroll-box" role="region" tabIndex={0} aria-label={add.preview}>
      <table className="table compact" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th scope="col" role="columnheader">
              {add.line}
            </th>
            <th scope="col" role="columnheader">
              {users.columns.name}
            </th>
            <th scope="col" role="columnheader">
              {users.columns.displayName}
            </th>
            <th scope="col" role="columnheader">
              {add.password}
            </th>
            <th scope="col" role="columnheader">
              {users.columns.role}
            </th>
            <th scope="col" role="columnheader">
              {add.problem}
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {lines.map((line) => (
            <Row key={line.number} line={line} error={errors.get(line.text)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ line, error }: { line: ParsedLine; error: unknown }) {
  const messages = useMessages();
  const { add, users, roles, names } = messages;
  const errorText = useErrorText();
  const remarks = line.problems.map((problem) => lineProblemText(problem, messages));
  if (error !== undefined) remarks.push(errorText(error));
  const warning = line.samePasswordAs === undefined ? undefined : add.samePassword(line.samePasswordAs);
  return (
    <tr role="row" className={remarks.length > 0 ? 'invalid' : undefined}>
      <td role="cell" data-label={add.line}>
        {line.number}
      </td>
      <th scope="row" role="rowheader" data-label={users.columns.name}>
        {line.name}
      </th>
      <td role="cell" data-label={users.columns.displayName}>
        {line.displayName}
      </td>
      <td role="cell" className="short" data-label={add.password}>
        {line.password === '' ? add.generated : add.given}
      </td>
      <td role="cell" className="short" data-label={users.columns.role}>
        {roles[line.role]}
      </td>
      <td role="cell" className="remarks" data-label={add.problem}>
        <span>
          {remarks.length === 0 ? <span className="fine">{add.ok}</span> : <span className="problem">{remarks.join(' ')}</span>}
          {warning !== undefined && <span className="hint"> {warning}</span>}
          {line.suggestion !== undefined && <span className="hint"> {names.suggestion(line.suggestion)}</span>}
        </span>
      </td>
    </tr>
  );
}
