import type { ReactNode } from 'react';
import { Button } from 'react-aria-components/Button';
import { Menu as AriaMenu, MenuItem, MenuTrigger } from 'react-aria-components/Menu';
import { Popover } from 'react-aria-components/Popover';
import { Separator } from 'react-aria-components/Separator';

export interface MenuAction {
  id: string;
  label: string;
  act: () => void;
  danger?: boolean;
  /** A line above it: what follows is of another sort. */
  apart?: boolean;
}

interface MenuProps {
  /** What the button shows. */
  children: ReactNode;
  label?: string;
  className?: string;
  actions: readonly MenuAction[];
}

export function Menu({ children, label, className = 'button quiet', actions }: MenuProps) {
  return (
    <MenuTrigger>
      <Button className={className} {...(label !== undefined && { 'aria-label': label })}>
        {children}
      </Button>
      <Popover className="popover" placement="bottom end">
        <AriaMenu className="menu" {...(label !== undefined && { 'aria-label': label })}>
          {actions.flatMap((action) => {
            const item = (
              <MenuItem key={action.id} id={action.id} onAction={action.act} className={action.danger ? 'menu-item danger' : 'menu-item'}>
                {action.label}
              </MenuItem>
            );
            return action.apart ? [<Separator key={`${action.id}-line`} />, item] : [item];
          })}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}
