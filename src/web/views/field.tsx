// A labelled input with its hint and its fault.
import { useId } from 'preact/hooks';
import { Icon } from './icon.tsx';

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly type?: 'text' | 'email' | 'password';
  readonly name?: string;
  readonly placeholder?: string;
  readonly autocomplete?: string;
  readonly autocapitalize?: 'none';
  readonly spellcheck?: boolean;
  readonly maxLength?: number;
  readonly hint?: string | undefined;
  readonly fault?: string | undefined;
}

export function Field({ label, onInput, hint, fault, type = 'text', ...rest }: FieldProps) {
  const id = useId();
  const about = fault ?? hint;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...rest}
        // The types of inputs are a union that a variable fits nowhere in.
        type={type as 'text'}
        id={id}
        class="input"
        aria-invalid={fault !== undefined}
        aria-describedby={about === undefined ? undefined : `${id}-about`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {about !== undefined && (
        <p id={`${id}-about`} class={fault === undefined ? 'hint' : 'fault'}>
          {fault !== undefined && <Icon name="warning" />}
          {about}
        </p>
      )}
    </div>
  );
}

export function Loading({ what }: { readonly what: string }) {
  return (
    <div class="loading" role="status" aria-label={`Loading ${what}`}>
      <i />
      <i />
      <i />
    </div>
  );
}

/** Something is wrong that no field can mend. */
export function Notice({ fault }: { readonly fault: string | undefined }) {
  if (fault === undefined) return null;
  return (
    <p class="notice" role="alert">
      <Icon name="warning" />
      {fault}
    </p>
  );
}
