import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { Announcer } from './components/announcer';
import { LanguageProvider } from './i18n/language';
import { PlaceProvider } from './routing/location';
import { NewUsersProvider } from './session/new-users';
import { SessionProvider } from './session/session';
import './styles/index.css';

const root = document.getElementById('root');
if (!root) throw new Error('no #root');

createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <PlaceProvider>
        <SessionProvider>
          <NewUsersProvider>
            <Announcer>
              <App />
            </Announcer>
          </NewUsersProvider>
        </SessionProvider>
      </PlaceProvider>
    </LanguageProvider>
  </StrictMode>,
);
