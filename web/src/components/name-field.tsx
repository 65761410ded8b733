import { nameProblem, suggestName } from '../domain/names';
import { useMessages } from '../i18n/language';
import { Button } from './button';
import { Field } from './field';

interface Props {
  label: string;
  name: string;
  value: string;
  onChange: (value: string) => void;
  problem: string | undefined;
}

/** A field for a new name: the rule is in sight, and a name that breaks it comes with one that does not. */
export function NameField({ label, name, value, onChange, problem }: Props) {
  const { names } = useMessages();
  const suggestion = value !== '' && nameProblem(value) ? suggestName(value) : undefined;
  return (
    <div>
      <Field label={label} name={name} value={value} onChange={onChange} problem={problem} hint={names.rule} autoComplete="username" />
      {suggestion !== undefined && (
        <Button size="small" className="suggestion" onPress={() => onChange(suggestion)}>
          {names.use(suggestion)}
        </Button>
      )}
    </div>
  );
}
