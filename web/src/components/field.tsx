import { useState, type Ref } from 'react';
import { Input } from 'react-aria-components/Input';
import { Label } from 'react-aria-components/Label';
import { Text } from 'react-aria-components/Text';
import { TextField } from 'react-aria-components/TextField';
import { ToggleButton } from 'react-aria-components/ToggleButton';
import { useMessages } from '../i18n/language';
import { Eye, EyeOff } from './icons';

export interface FieldProps {
  label: string;
  name: string;
  value: string;
  onChange: (value: string) => void;
  /** Shown beside the field and read with it. */
  problem?: string | undefined;
  hint?: string | undefined;
  type?: 'text' | 'password' | 'email';
  autoComplete?: string;
  optional?: boolean;
  readOnly?: boolean;
  /** The page is there for this field: it has the focus at once. */
  first?: boolean;
  inputRef?: Ref<HTMLInputElement>;
}

export function Field({ label, name, value, onChange, problem, hint, type = 'text', autoComplete, optional, readOnly, first, inputRef }: FieldProps) {
  const messages = useMessages();
  const [shown, setShown] = useState(false);
  return (
    <TextField
      className="field"
      name={name}
      value={value}
      onChange={onChange}
      type={type === 'password' && shown ? 'text' : type}
      isInvalid={problem !== undefined}
      isRequired={!optional}
      isReadOnly={readOnly ?? false}
      validationBehavior="aria"
      {...(autoComplete !== undefined && { autoComplete })}
      {...(first && { autoFocus: true })}
    >
      <Label>
        {label}
        {optional && <span className="optional"> ({messages.common.optional})</span>}
      </Label>
      <div className="field-box">
        <Input ref={inputRef ?? null} spellCheck={false} autoCapitalize="none" />
        {type === 'password' && (
          <ToggleButton
            className="button quiet reveal"
            isSelected={shown}
            onChange={setShown}
            aria-label={shown ? messages.common.hidePassword : messages.common.showPassword}
          >
            {shown ? <EyeOff /> : <Eye />}
          </ToggleButton>
        )}
      </div>
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      {problem !== undefined && (
        <Text slot="errorMessage" className="problem">
          {problem}
        </Text>
      )}
    </TextField>
  );
}
