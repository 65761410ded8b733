/** The objects of the API as the dashboard sees them (docs/dashboard-api.md). */

export interface ObjectMeta {
  name: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string | null;
  deletionTimestamp?: string | null;
}

export interface KubeObject {
  metadata: ObjectMeta;
}

export type Role = 1 | 2;
export const administrator = 1;
export const student = 2;

export interface User extends KubeObject {
  spec: {
    chineseName?: string;
    description?: string;
    email?: string;
    role?: Role;
  };
  status?: {
    /** What was ended because nobody used it, until the next is started. */
    lastEnvironment?: { reason?: string; message?: string; sandboxName?: string; endedAt?: string };
  };
}

export type Phase = 'Queued' | 'Preparing' | 'Starting' | 'Running' | 'Stopping' | 'Stopped' | 'Failed';

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface DeviceStatus {
  /** The sandbox that was chosen where the request named none. */
  sandboxName?: string;
  phase?: Phase;
  reason?: string;
  message?: string;
  conditions?: Condition[];
  urls?: string[];
  /** While it waits for something of which there is not enough. */
  queue?: { position?: number };
  /** Its owner's, from the first moment to the last. */
  port?: number;
  /** What is reached at urls, in their order; absent where that is one. */
  ports?: { name: string; port: number }[];
  startedAt?: string;
  /** When somebody or something worked in it last. */
  lastActivity?: string;
  /** What the files of its owner take, and may take (0: there is no quota). */
  storage?: { usedBytes?: number; quotaBytes?: number };
  /** Seconds that each finished phase took. */
  timings?: Partial<Record<'queued' | 'preparing' | 'starting', number>>;
  /** The last lines of the log, where the environment failed. */
  log?: string[] | null;
}

export interface Device extends KubeObject {
  spec: { openHydraUsername?: string; sandboxName?: string; keepUntil?: string; language?: string };
  status?: DeviceStatus;
}

export interface Sandbox extends KubeObject {
  spec: {
    displayTitle?: string;
    description?: string;
    /** By language: "zh", "en". */
    titles?: Record<string, string>;
    descriptions?: Record<string, string>;
    developmentInfo?: string[];
    hidden?: boolean;
  };
}

export interface Course extends KubeObject {
  spec: {
    displayTitle?: string;
    description?: string;
    /** By language: "zh", "en". */
    titles?: Record<string, string>;
    descriptions?: Record<string, string>;
  };
  /** `version` is absent as long as there is nothing in it. */
  status?: { version?: number };
}

/** What came of copying a course into a home. */
export type CourseOutcome = 'new' | 'updated' | 'both' | 'yours' | 'same' | 'deleted' | 'withdrawn' | 'skipped';

export interface DeviceCourse {
  status: {
    folder: string;
    counts: Record<CourseOutcome, number>;
    files: { path: string; what: CourseOutcome; beside?: string }[];
  };
}

export interface List<T> {
  metadata: { resourceVersion?: string; continue?: string };
  items: T[];
}

export interface StatusCause {
  field?: string;
  message?: string;
  reason?: string;
}

/** `metav1.Status`: what every error looks like. */
export interface Status {
  kind: 'Status';
  status?: string;
  reason?: string;
  message?: string;
  code?: number;
  details?: { name?: string; causes?: StatusCause[]; retryAfterSeconds?: number };
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: KubeObject }
  | { type: 'ERROR'; object: Status };

export interface Session {
  authenticated: boolean;
  username?: string;
  chineseName?: string;
  role?: Role;
  wellKnownPassword?: boolean;
  expirationTimestamp?: string;
  key?: string;
  setupRequired: boolean;
  authDisabled: boolean;
}
