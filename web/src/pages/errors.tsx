import { Page } from '../components/page';
import { useMessages } from '../i18n/language';
import { Link } from '../routing/location';

export function NotFound() {
  const { notFound } = useMessages();
  return <Dead title={notFound.title} text={notFound.text} />;
}

export function Forbidden() {
  const { forbidden } = useMessages();
  return <Dead title={forbidden.title} text={forbidden.text} />;
}

function Dead({ title, text }: { title: string; text: string }) {
  const { notFound } = useMessages();
  return (
    <Page title={title} lead={text} width="narrow">
      <Link to="/" className="button primary">
        {notFound.home}
      </Link>
    </Page>
  );
}
