// The way in: signing in, or making an account. What is wrong is said at the field that can mend it.
import type { TargetedEvent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { farewell, isRefusal, register, signIn } from '../store/account.ts';
import { useCell } from '../store/cell.ts';
import { Field, Notice } from './field.tsx';
import { Icon, Logo } from './icon.tsx';

type Faults = Readonly<Record<string, string>>;

const MIN_PASSWORD = 8;
/** A fault that no field can mend. */
const ALL = 'all';

export function SignIn() {
  const [isNew, setNew] = useState(false);
  const ended = useCell(farewell);
  return (
    <main class="entrance">
      <section class="entrance-ground">
        <Brand />
        <div>
          <p class="motto">Conversations that stay yours.</p>
          <div class="entrance-talk" aria-hidden="true">
            <i />
            <i />
            <i />
            <i />
          </div>
        </div>
        <p>Every message is kept once, in order, on a server you run yourself.</p>
      </section>
      <section class="entrance-form">
        <div>
          <Brand />
          {ended !== null && (
            <p class="notice" role="status">
              <Icon name="warning" />
              {ended}
            </p>
          )}
          {isNew ? <RegisterForm key="new" /> : <SignInForm key="known" />}
          <p class="entrance-switch">
            {isNew ? 'You have an account? ' : 'New here? '}
            <button type="button" class="link" onClick={() => setNew(!isNew)}>
              {isNew ? 'Sign in' : 'Create an account'}
            </button>
          </p>
        </div>
      </section>
    </main>
  );
}

function Brand() {
  return (
    <p class="brand">
      <Logo />
      ChatterBox
    </p>
  );
}

function SignInForm() {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const check = (): Faults => ({
    ...(login.trim() === '' ? { login: 'Enter your username or email.' } : {}),
    ...(password === '' ? { password: 'Enter your password.' } : {}),
  });
  const form = useForm(check, () => signIn(login.trim(), password));
  return (
    <form ref={form.box} onSubmit={form.submit} noValidate>
      <h1 class="entrance-title">Sign in</h1>
      <Notice fault={form.faults[ALL]} />
      <Field
        label="Username or email"
        name="login"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        value={login}
        onInput={setLogin}
        fault={form.faults.login}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autocomplete="current-password"
        value={password}
        onInput={setPassword}
        fault={form.faults.password}
      />
      <button type="submit" class="button primary" disabled={form.isBusy}>
        {form.isBusy ? 'Signing in …' : 'Sign in'}
      </button>
    </form>
  );
}

const NEW = { username: '', displayName: '', email: '', password: '' };

function RegisterForm() {
  const [fields, setFields] = useState(NEW);
  const form = useForm(
    () => checkRegistration(fields),
    () => registerAs(fields),
  );
  const input = (name: keyof typeof NEW) => ({
    name,
    value: fields[name],
    onInput: (value: string) => setFields({ ...fields, [name]: value }),
    fault: form.faults[name],
  });
  return (
    <form ref={form.box} onSubmit={form.submit} noValidate>
      <h1 class="entrance-title">Create an account</h1>
      <Notice fault={form.faults[ALL]} />
      <Field
        {...input('username')}
        label="Username"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        hint="What others find you by."
      />
      <Field {...input('displayName')} label="Your name (optional)" autocomplete="name" maxLength={80} />
      <Field {...input('email')} label="Email" type="email" autocomplete="email" hint="Nobody else sees it." />
      <Field
        {...input('password')}
        label="Password"
        type="password"
        autocomplete="new-password"
        hint={`At least ${MIN_PASSWORD} characters.`}
      />
      <button type="submit" class="button primary" disabled={form.isBusy}>
        {form.isBusy ? 'Creating …' : 'Create account'}
      </button>
    </form>
  );
}

function checkRegistration({ username, email, password }: typeof NEW): Faults {
  return {
    ...(/^[A-Za-z0-9_.-]{2,32}$/.test(username) ? {} : { username: '2 to 32 of the letters a-z, digits, and _ . -' }),
    ...(/^[^\s@]+@[^\s@]+$/.test(email.trim()) ? {} : { email: 'This is not an email address.' }),
    ...(password.length < MIN_PASSWORD ? { password: `At least ${MIN_PASSWORD} characters.` } : {}),
  };
}

function registerAs({ username, displayName, email, password }: typeof NEW): Promise<void> {
  const name = displayName.trim();
  return register({ username, email: email.trim(), password, ...(name === '' ? {} : { displayName: name }) });
}

/** Checks, asks, and leads to the first field that is at fault. */
function useForm(check: () => Faults, ask: () => Promise<void>) {
  const box = useRef<HTMLFormElement>(null);
  const [faults, setFaults] = useState<Faults>({});
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    const first = box.current?.querySelector<HTMLInputElement>('[aria-invalid="true"]');
    first?.focus();
  }, [faults]);

  async function submit(event: TargetedEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (isBusy) return;
    const found = check();
    setFaults(found);
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      await ask();
    } catch (error) {
      setFaults(faultOf(error));
      setBusy(false);
    }
  }
  return { box, faults, isBusy, submit };
}

function faultOf(error: unknown): Faults {
  if (!isRefusal(error)) throw error;
  const { code, field, message, after } = error;
  if (code === 'unauthenticated') return { [ALL]: 'The name or the password is not right.' };
  if (code === 'rate_limited') {
    const wait = after === undefined ? 'a moment' : `${Math.ceil(after / 1_000)} seconds`;
    return { [ALL]: `Too many attempts. Try again in ${wait}.` };
  }
  if (code === 'unavailable' || code === 'overloaded') {
    return { [ALL]: 'The server cannot be reached. Check your connection and try again.' };
  }
  if (field !== undefined && ['username', 'email', 'password', 'displayName', 'login'].includes(field)) {
    return { [field]: code === 'bad_frame' && field !== 'password' ? 'This cannot be used.' : message };
  }
  return { [ALL]: message };
}
