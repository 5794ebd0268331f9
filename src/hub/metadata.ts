import { HubError } from './errors.js';
import { describeHubId, isCommit, type HubId } from './hub-id.js';
import { checkBusy, send, Watchdog, withRetries, type HubConnection } from './request.js';

/** What the hub says about a file before it is fetched. */
export interface FileMetadata {
  commit: string;
  /** Hash of the content: SHA-256 for large files, git's SHA-1 for others. */
  etag: string;
  bytes: number;
}

/** Names of blobs; an etag becomes a file name, so nothing else may pass. */
const ETAG = /^[\w-]{1,128}$/;

/** Where a file of a repository is. */
export function fileUrl({ settings }: HubConnection, { name, revision }: HubId, file: string): URL {
  const path = file.split('/').map(encodeURIComponent).join('/');
  return new URL(`${settings.endpoint}/${name}/resolve/${encodeURIComponent(revision)}/${path}`);
}

/**
 * Asks for a file's hash and size.
 * @returns Undefined where the repository has no such file.
 * @throws {HubError} where the repository or revision does not exist or is not for this user.
 */
export async function fileMetadata(
  connection: HubConnection,
  id: HubId,
  file: string,
): Promise<FileMetadata | undefined> {
  const url = fileUrl(connection, id, file);
  return withRetries(connection, async () => {
    const watchdog = new Watchdog(connection);
    try {
      const response = await send(connection, { method: 'HEAD', url, redirects: 'same host' }, watchdog);
      checkBusy(response, url);
      if (response.headers.get('x-error-code') === 'EntryNotFound') return undefined;
      if (response.status >= 400) throw refusal(connection, id, file, response);
      return parseMetadata(response, url, file);
    } finally {
      watchdog.stop();
    }
  });
}

function parseMetadata({ headers }: Response, url: URL, file: string): FileMetadata {
  const commit = headers.get('x-repo-commit') ?? '';
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
  const bytes = Number(headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN);
  if (!isCommit(commit) || !ETAG.test(etag) || !Number.isSafeInteger(bytes) || bytes < 0)
    throw new HubError(
      `${file}: ${url.host} does not say the file's commit, hash and size; is HF_ENDPOINT a hub and not a web page?`,
    );
  return { commit, etag, bytes };
}

/** Why the hub does not give a file, and what to do. */
export function refusal({ settings }: HubConnection, id: HubId, file: string, response: Response): HubError {
  const { host } = new URL(settings.endpoint);
  const name = describeHubId(id);
  const code = response.headers.get('x-error-code');
  const login = settings.token === undefined ? 'set HF_TOKEN' : 'the token in HF_TOKEN or the token file is refused';
  if (code === 'GatedRepo')
    return new HubError(`${name}: ${host} asks for its conditions to be accepted on the model's page; then ${login}`);
  if (code === 'RevisionNotFound') return new HubError(`${id.name}: ${host} has no revision '${id.revision}' of it`);
  if (response.status === 401 || response.status === 403)
    return new HubError(`${name}: no such model on ${host}, or a private one (${response.status}): ${login}`);
  if (response.status === 404) return new HubError(`${name}: no such model on ${host}, or no ${file} in it`);
  return new HubError(`${name}: ${host} answers ${response.status} for ${file}`);
}
