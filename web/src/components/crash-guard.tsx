import { Component, type ReactNode } from 'react';
import { useMessages } from '../i18n/language';
import { Button } from './button';
import { Notice } from './notice';

/** A fault in a page, or a part of it that could not be fetched, leaves the rest of the dashboard standing. */
export class CrashGuard extends Component<{ children: ReactNode }, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override render() {
    return this.state.crashed ? <Crashed /> : this.props.children;
  }
}

function Crashed() {
  const { errors } = useMessages();
  const reload = <Button onPress={() => window.location.reload()}>{errors.reload}</Button>;
  return (
    <Notice kind="error" actions={reload}>
      {errors.unexpected}
    </Notice>
  );
}
