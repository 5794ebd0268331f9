import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedRequest } from './errors.js';
import type { HubSettings } from './settings.js';

/** How patient requests are. */
export interface Patience {
  /** Longest silence before and inside an answer. */
  silenceMs: number;
  /** Tries without a byte of progress. */
  tries: number;
  /** Pause after the first failure; it doubles with each. */
  retryDelayMs: number;
}

/** Who asks whom, and until when. */
export interface HubConnection {
  settings: HubSettings;
  signal?: AbortSignal;
  patience: Patience;
}

export const PATIENCE: Patience = { silenceMs: 15_000, tries: 5, retryDelayMs: 500 };

const MAX_REDIRECTS = 5;
const MAX_RETRY_DELAY_MS = 30_000;
const AGENT = 'sled-tts';

/** Aborts a request that has been silent for too long. */
export class Watchdog {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  readonly signal: AbortSignal;

  constructor(private readonly connection: HubConnection) {
    const { signal } = connection;
    this.signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal;
    this.feed();
  }

  /** Something has come. */
  feed(): void {
    clearTimeout(this.#timer);
    const { silenceMs } = this.connection.patience;
    const bark = () => this.#controller.abort(new Error(`no answer for ${silenceMs / 1000} s`));
    this.#timer = setTimeout(bark, silenceMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** One request; `redirects` says whether it may lead to another host. */
export interface HubRequest {
  method: 'GET' | 'HEAD';
  url: URL;
  headers?: Record<string, string>;
  redirects: 'any host' | 'same host';
}

/**
 * Sends a request and follows its redirects. The token goes to the endpoint alone, never to where it redirects.
 * @returns The answer; a redirect where it leads to another host and may not be followed.
 * @throws {InterruptedRequest} where another try may help.
 */
export async function send(connection: HubConnection, request: HubRequest, watchdog: Watchdog): Promise<Response> {
  const home = new URL(connection.settings.endpoint).origin;
  const { token } = connection.settings;
  let { url } = request;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers: Record<string, string> = { 'user-agent': AGENT, 'accept-encoding': 'identity', ...request.headers };
    if (token !== undefined && url.origin === home) headers.authorization = `Bearer ${token}`;
    const response = await fetch(url, {
      method: request.method,
      headers,
      redirect: 'manual',
      signal: watchdog.signal,
    }).catch((error: unknown) => {
      throw interrupted(connection, url, error, watchdog);
    });
    watchdog.feed();
    const target = redirectTarget(response, url);
    if (!target || (request.redirects === 'same host' && target.origin !== url.origin)) return response;
    await response.body?.cancel();
    url = target;
  }
  throw new InterruptedRequest(`${request.url.host} redirects more than ${MAX_REDIRECTS} times`);
}

function redirectTarget({ status, headers }: Response, url: URL): URL | undefined {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null || !URL.canParse(location, url.href))
    return undefined;
  const target = new URL(location, url);
  return /^https?:$/.test(target.protocol) ? target : undefined;
}

/** What a failed fetch means: the caller's abort as it is, anything else worth another try. */
export function interrupted(connection: HubConnection, url: URL, error: unknown, watchdog: Watchdog): unknown {
  if (connection.signal?.aborted) return connection.signal.reason;
  const cause = watchdog.signal.aborted ? watchdog.signal.reason : ((error as Error).cause ?? error);
  return new InterruptedRequest(`${url.host}: ${(cause as Error).message || (cause as { code?: string }).code}`, {
    cause: error,
  });
}

/** Busy or broken for the moment, by its status. */
export function checkBusy(response: Response, url: URL): void {
  const { status, headers } = response;
  if (status < 500 && status !== 429 && status !== 408) return;
  const seconds = Number(headers.get('retry-after'));
  throw new InterruptedRequest(`${url.host} answers ${status}`, {}, Number.isFinite(seconds) ? seconds * 1000 : 0);
}

/**
 * Tries until it works; `attempt` says through `progressed` that the count starts anew.
 * @throws {InterruptedRequest} the last one.
 */
export async function withRetries<T>(
  { patience, signal }: HubConnection,
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await attempt(() => (failures = 0));
    } catch (error) {
      if (!(error instanceof InterruptedRequest) || ++failures >= patience.tries) throw error;
      const delay = Math.max(patience.retryDelayMs * 2 ** (failures - 1), error.retryAfterMs);
      await sleep(Math.min(delay, MAX_RETRY_DELAY_MS), undefined, { signal });
    }
  }
}
