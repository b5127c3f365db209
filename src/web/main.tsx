// The page begins here: signed in or not, one of two views.
import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/sign-in.css';
import './styles/shell.css';
import './styles/sidebar.css';
import './styles/conversation.css';
import './styles/dialog.css';
import { account, begin } from './store/account.ts';
import './store/attention.ts';
import { useCell } from './store/cell.ts';
import './store/theme.ts';
import { AccountContext } from './views/context.ts';
import { Guard } from './views/guard.tsx';
import { Shell } from './views/shell.tsx';
import { SignIn } from './views/sign-in.tsx';
import { Toasts } from './views/toasts.tsx';

function Page() {
  const signedIn = useCell(account);
  return (
    <>
      <Guard>
        {signedIn === null ? (
          <SignIn />
        ) : (
          <AccountContext.Provider value={signedIn}>
            <Shell key={signedIn.me.id} />
          </AccountContext.Provider>
        )}
      </Guard>
      <Toasts />
    </>
  );
}

const root = document.createElement('div');
root.id = 'app';
document.body.append(root);
begin();
render(<Page />, root);
