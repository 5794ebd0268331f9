import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HubSettings } from '../../../src/hub/settings.js';

/** A request as it came in. */
export interface SeenRequest {
  host: 'hub' | 'storage';
  method: string;
  path: string;
  authorization: string | undefined;
  range: string | undefined;
}

/** How the storage misbehaves. */
export interface Faults {
  /** Answers of the storage that end in the middle, one after another. */
  drops: number;
  /** Answers of the hub with 503. */
  busy: number;
  /** Sends other bytes than were promised. */
  wrongBytes: boolean;
  ignoresRanges: boolean;
  /** Sends half of the file and then nothing. */
  stalls: boolean;
  /** What the hub asks for. */
  token: string | undefined;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const LARGE_BYTES = 4096;

/**
 * A server that speaks the hub's protocol: small files come from it, large ones (here from 4 kB) by redirect from a storage
 * at another address, as on the real one.
 */
export class FakeHub {
  readonly seen: SeenRequest[] = [];
  readonly faults: Faults = {
    drops: 0,
    busy: 0,
    wrongBytes: false,
    ignoresRanges: false,
    stalls: false,
    token: undefined,
  };
  readonly #repositories = new Map<string, Map<string, Buffer>>();
  #servers: Server[] = [];
  endpoint = '';
  #storage = '';

  async start(): Promise<void> {
    const hub = createServer((request, response) => this.#answerHub(request, response));
    const storage = createServer((request, response) => this.#answerStorage(request, response));
    this.#servers = [hub, storage];
    for (const server of this.#servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    [this.endpoint, this.#storage] = [url(hub), url(storage)];
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    this.#servers = [];
  }

  put(name: string, file: string, content: Buffer | string): void {
    const files = this.#repositories.get(name) ?? new Map<string, Buffer>();
    this.#repositories.set(name, files.set(file, Buffer.from(content)));
  }

  /** What the product would read from the environment. */
  settings(cache: string, changes: Partial<HubSettings> = {}): HubSettings {
    return { endpoint: this.endpoint, cache, token: undefined, offline: false, ...changes };
  }

  /** The paths asked for since the last call, with their method. */
  takeSeen(): SeenRequest[] {
    return this.seen.splice(0);
  }

  #note(host: SeenRequest['host'], request: IncomingMessage): void {
    const { authorization, range } = request.headers;
    this.seen.push({ host, method: request.method ?? '', path: request.url ?? '', authorization, range });
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#note('hub', request);
    const refuse = (status: number, code: string) => response.writeHead(status, { 'x-error-code': code }).end();
    if (this.faults.busy > 0) {
      this.faults.busy--;
      return void response.writeHead(503).end();
    }
    const [, name, revision, file] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url ?? '') ?? [];
    const files = this.#repositories.get(name);
    const { token } = this.faults;
    if (!files || (token !== undefined && request.headers.authorization !== `Bearer ${token}`))
      return void refuse(401, 'RepoNotFound');
    if (!['main', COMMIT].includes(revision)) return void refuse(404, 'RevisionNotFound');
    const content = files.get(file);
    if (!content) return void refuse(404, 'EntryNotFound');
    const headers = { 'x-repo-commit': COMMIT, 'accept-ranges': 'bytes' };
    if (content.length < LARGE_BYTES)
      return this.#send(request, response, content, { ...headers, etag: `"${gitHash(content)}"` });
    const large = { 'x-linked-etag': `"${sha256(content)}"`, 'x-linked-size': content.length, etag: '"other"' };
    response.writeHead(302, { ...headers, ...large, location: `${this.#storage}/${name}/${file}` }).end();
  }

  #answerStorage(request: IncomingMessage, response: ServerResponse): void {
    this.#note('storage', request);
    const [, name, file] = /^\/([^/]+\/[^/]+)\/(.+)$/.exec(request.url ?? '') ?? [];
    const content = this.#repositories.get(name)?.get(file);
    if (!content) return void response.writeHead(404).end();
    this.#send(request, response, this.faults.wrongBytes ? Buffer.alloc(content.length, 7) : content, {});
  }

  #send(request: IncomingMessage, response: ServerResponse, content: Buffer, headers: Record<string, string>): void {
    const start = this.faults.ignoresRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = content.subarray(start);
    const range = start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { ...headers, ...range, 'content-length': body.length });
    const half = body.subarray(0, Math.ceil(body.length / 2));
    if (request.method === 'HEAD') response.end();
    else if (this.faults.stalls && content.length >= LARGE_BYTES) response.write(half);
    else if (this.faults.drops > 0 && content.length >= LARGE_BYTES) {
      this.faults.drops--;
      response.write(half, () => setTimeout(() => response.destroy(), 20));
    } else response.end(body);
  }
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
export const gitHash = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
