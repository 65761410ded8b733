import { useId } from 'react';

interface Option<T> {
  value: T;
  label: string;
  hint?: string;
}

interface ChoiceProps<T> {
  legend: string;
  options: readonly Option<T>[];
  value: T;
  onChange: (value: T) => void;
  /** As cards with a line of explanation, or side by side. */
  look?: 'cards' | 'inline';
}

/** One of a few, all of them in sight. */
export function Choice<T extends string | number>({ legend, options, value, onChange, look = 'inline' }: ChoiceProps<T>) {
  const id = useId();
  return (
    <fieldset className={`choice ${look}`}>
      <legend>{legend}</legend>
      <div className="choice-options">
        {options.map((option) => (
          <label key={option.value} className="choice-option" htmlFor={`${id}-${option.value}`}>
            <input
              type="radio"
              id={`${id}-${option.value}`}
              name={id}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>
              <span className="choice-label">{option.label}</span>
              {option.hint !== undefined && <span className="hint">{option.hint}</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface PickProps<T> {
  label: string;
  options: readonly { value: T; label: string }[];
  value: T;
  onChange: (value: T) => void;
}

/** One of several in a small space: the browser's own list. */
export function Pick<T extends string>({ label, options, value, onChange }: PickProps<T>) {
  const id = useId();
  return (
    <div className="pick">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value as T)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}
