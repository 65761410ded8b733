import type { Status, StatusCause } from './types';

/** The server answered, and the answer is an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly code: number,
    readonly status: Status,
    readonly retryAfterSeconds: number | undefined,
  ) {
    super(status.message ?? '');
  }

  get reason(): string {
    return this.status.reason ?? '';
  }

  get causes(): readonly StatusCause[] {
    return this.status.details?.causes ?? [];
  }
}

/** No answer came: the server or the network is away. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** The gateway answers, but not this browser at the address of an environment. */
export class EnvironmentUnreachable extends Error {
  override readonly name = 'EnvironmentUnreachable';

  constructor(
    readonly origin: string,
    cause: unknown,
  ) {
    super('', { cause });
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404;
}

/** Makes the error of an answer that is not 2xx, whatever its body holds. */
export async function errorOf(response: Response): Promise<ApiError> {
  const body = await response.text().catch(() => '');
  const status = parseStatus(body) ?? { kind: 'Status', code: response.status };
  const seconds = Number(response.headers.get('Retry-After') ?? status.details?.retryAfterSeconds);
  return new ApiError(response.status, status, Number.isFinite(seconds) && seconds > 0 ? seconds : undefined);
}

function parseStatus(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const isStatus = typeof value === 'object' && value !== null && 'message' in value;
    return isStatus ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}
