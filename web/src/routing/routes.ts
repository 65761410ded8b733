import { lazy, type ComponentType } from 'react';
import { EnvironmentPage } from '../pages/environment/page';

export interface Route {
  path: string;
  access: 'anyone' | 'user' | 'administrator';
  page: ComponentType;
}

/** Every page with its address. What most visits do not need is fetched when it is. */
const routes: Route[] = [
  { path: '/', access: 'user', page: EnvironmentPage },
  { path: '/open', access: 'user', page: lazy(() => import('../pages/open/page')) },
  { path: '/password', access: 'user', page: lazy(() => import('../pages/password/page')) },
  { path: '/setup', access: 'anyone', page: lazy(() => import('../pages/setup/page')) },
  { path: '/users', access: 'administrator', page: lazy(() => import('../pages/users/page')) },
  { path: '/users/add', access: 'administrator', page: lazy(() => import('../pages/add-users/page')) },
  { path: '/environments', access: 'administrator', page: lazy(() => import('../pages/devices/page')) },
];

export function routeOf(path: string): Route | undefined {
  return routes.find((route) => route.path === path);
}
