import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HubError, InterruptedRequest } from './errors.js';
import type { HubId } from './hub-id.js';
import { refusal, type FileMetadata } from './metadata.js';
import { checkBusy, interrupted, send, Watchdog, withRetries, type HubConnection } from './request.js';

/** What is to be fetched, and where to. */
export interface FileDownload {
  id: HubId;
  file: string;
  url: URL;
  metadata: FileMetadata;
  /** The file appears here when it is whole and its hash is right. */
  path: string;
  /** Told the file's bytes that are there. */
  onBytes?: (bytes: number) => void;
}

/**
 * Fetches a file, going on from `PATH.incomplete` where an earlier try left one.
 * @throws {HubError} on a wrong hash, a full disk, or a connection that keeps breaking; what has come is kept for the next
 * try unless its hash is wrong.
 */
export async function downloadFile(connection: HubConnection, download: FileDownload): Promise<void> {
  const { path, metadata, onBytes } = download;
  if (existsSync(path)) return onBytes?.(metadata.bytes);
  await mkdir(dirname(path), { recursive: true });
  const incomplete = `${path}.incomplete`;
  const resumed = await fetchInto(connection, download, incomplete);
  if (!(await hasHash(incomplete, metadata))) {
    await rm(incomplete);
    // What an earlier process left may be the damaged part.
    const again =
      resumed && !(await fetchInto(connection, download, incomplete)) && (await hasHash(incomplete, metadata));
    if (!again) {
      await rm(incomplete, { force: true });
      throw new HubError(
        `${download.id.name}: ${download.file} has not the hash that ${download.url.host} promised; nothing was kept, try again`,
      );
    }
  }
  await rename(incomplete, path);
}

/** Fetches until all bytes are there. @returns True where some were there before. */
async function fetchInto(connection: HubConnection, download: FileDownload, incomplete: string): Promise<boolean> {
  const file = await open(incomplete, 'a+');
  try {
    let size = (await file.stat()).size;
    if (size > download.metadata.bytes) {
      await file.truncate(0);
      size = 0;
    }
    await checkSpace(incomplete, download, size);
    const resumed = size > 0;
    await withRetries(connection, (progressed) => fetchRest(connection, download, file, progressed)).catch(
      (error: unknown) => {
        throw explain(error, download);
      },
    );
    await file.sync();
    return resumed;
  } finally {
    await file.close();
  }
}

async function checkSpace(path: string, { id, file, metadata }: FileDownload, present: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const [needed, free] = [metadata.bytes - present, bavail * bsize];
  if (needed > free)
    throw new HubError(
      `${id.name}: ${file} needs ${megabytes(needed)} in ${dirname(path)}, which has ${megabytes(free)} left; set HF_HOME to another disk`,
    );
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function fetchRest(
  connection: HubConnection,
  { id, file: name, url, metadata, onBytes }: FileDownload,
  file: FileHandle,
  progressed: () => void,
): Promise<void> {
  let size = (await file.stat()).size;
  onBytes?.(size);
  if (size === metadata.bytes) return;
  const watchdog = new Watchdog(connection);
  try {
    const headers: Record<string, string> = size > 0 ? { range: `bytes=${size}-` } : {};
    const response = await send(connection, { method: 'GET', url, headers, redirects: 'any host' }, watchdog);
    checkBusy(response, url);
    if (response.status !== 200 && response.status !== 206) throw refusal(connection, id, name, response);
    if (response.status === 200 && size > 0) {
      await file.truncate(0); // this host does not know ranges
      size = 0;
    } else if (response.status === 206) checkRange(response, size, url);
    for await (const chunk of chunksOf(connection, response, url, watchdog)) {
      size += chunk.length;
      if (size > metadata.bytes) throw new HubError(`${id.name}: ${url.host} sends more of ${name} than it promised`);
      await file.appendFile(chunk);
      progressed();
      onBytes?.(size);
    }
  } finally {
    watchdog.stop();
  }
  if (size < metadata.bytes) throw new InterruptedRequest(`${url.host}: the connection ended early`);
}

function checkRange(response: Response, start: number, url: URL): void {
  const range = response.headers.get('content-range') ?? '';
  if (!range.startsWith(`bytes ${start}-`))
    throw new InterruptedRequest(`${url.host}: expected bytes from ${start}, got '${range}'`);
}

async function* chunksOf(connection: HubConnection, response: Response, url: URL, watchdog: Watchdog) {
  const reader = response.body?.getReader();
  if (!reader) return;
  let done = false;
  try {
    for (;;) {
      const chunk = await reader.read().catch((error: unknown) => {
        throw interrupted(connection, url, error, watchdog);
      });
      watchdog.feed();
      if (chunk.done) break;
      yield chunk.value;
    }
    done = true;
  } finally {
    if (!done) await reader.cancel().catch(() => undefined); // it may be broken already
  }
}

function explain(error: unknown, { id, file }: FileDownload): unknown {
  if (error instanceof InterruptedRequest)
    return new HubError(`${id.name}: ${file} did not come: ${error.message}; the same command goes on from here`, {
      cause: error,
    });
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new HubError(`${id.name}: no space is left on the disk for ${file}; the same command goes on from here`, {
      cause: error,
    });
  return error;
}

/** Whether a file is what its etag says; an etag that is neither hash, as some mirrors send, says nothing. */
async function hasHash(path: string, { etag, bytes }: FileMetadata): Promise<boolean> {
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return true;
  const hash = createHash(etag.length === 64 ? 'sha256' : 'sha1');
  if (etag.length === 40) hash.update(`blob ${bytes}\0`); // as git does
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex') === etag;
}
