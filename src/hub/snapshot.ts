import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CachedRepository } from './cache.js';
import { downloadFile } from './download-file.js';
import { HubError, InterruptedRequest } from './errors.js';
import { describeHubId, isCommit, type HubId } from './hub-id.js';
import { withLock } from './lock.js';
import { fileMetadata, fileUrl, type FileMetadata } from './metadata.js';
import { PATIENCE, type HubConnection, type Patience } from './request.js';
import { hubSettings, type HubSettings } from './settings.js';

/** How far fetching is: bytes of all files of the repository that are being fetched. */
export interface DownloadProgress {
  /** The repository, `ORG/NAME`. */
  name: string;
  bytes: number;
  totalBytes: number;
}

export interface SnapshotOptions {
  /** In place of what the environment says. */
  settings?: HubSettings;
  signal?: AbortSignal;
  onDownload?: (progress: DownloadProgress) => void;
  /** Told when an older copy is used because the hub cannot be reached. */
  onWarning?: (message: string) => void;
  patience?: Patience;
}

/** A repository at one commit, whose files are fetched as they are asked for. */
export class Snapshot {
  private constructor(
    private readonly connection: HubConnection,
    private readonly cached: CachedRepository,
    private readonly commit: string,
    private readonly reachable: boolean,
    private readonly options: SnapshotOptions,
  ) {}

  /**
   * Finds the commit that a revision means now, or meant when the hub could last be reached.
   * @throws {HubError} where neither hub nor cache has it.
   */
  static async open(id: HubId, options: SnapshotOptions = {}): Promise<Snapshot> {
    const settings = options.settings ?? hubSettings();
    const patience = options.patience ?? PATIENCE;
    const connection = { settings, patience, signal: options.signal };
    const cached = new CachedRepository(settings.cache, id);
    const known = cached.commit();
    const create = (commit: string, reachable: boolean) => new Snapshot(connection, cached, commit, reachable, options);
    if (settings.offline) {
      if (known === undefined) throw notCached(id, settings);
      return create(known, false);
    }
    if (known !== undefined && isCommit(id.revision)) return create(known, true);
    try {
      // With a copy at hand nobody waits for a hub that does not answer.
      const hurried = known === undefined ? connection : { ...connection, patience: { ...patience, tries: 1 } };
      const metadata = await fileMetadata(hurried, id, 'config.json');
      if (!metadata) throw new HubError(`${describeHubId(id)}: the repository has no config.json; it is no model`);
      return create(metadata.commit, true);
    } catch (error) {
      if (!(error instanceof InterruptedRequest)) throw error;
      if (known === undefined) throw new HubError(`${describeHubId(id)}: ${error.message}`, { cause: error });
      options.onWarning?.(`${describeHubId(id)}: ${error.message}; the copy in the cache is used`);
      return create(known, false);
    }
  }

  /** Where the files are. */
  get directory(): string {
    return this.cached.snapshot(this.commit);
  }

  /**
   * Fetches the files that are not there yet.
   * @throws {HubError} where one does not exist or does not come.
   */
  async fetch(files: readonly string[]): Promise<void> {
    const missing = files.filter((file) => !existsSync(join(this.directory, file)));
    const found: { file: string; metadata: FileMetadata }[] = [];
    for (const file of missing) {
      const metadata = await this.#metadata(file);
      if (!metadata) throw new HubError(`${describeHubId(this.cached.id)}: the repository has no ${file}`);
      found.push({ file, metadata });
    }
    const totalBytes = found.reduce((sum, { metadata }) => sum + metadata.bytes, 0);
    let before = 0;
    for (const { file, metadata } of found) {
      const report = (bytes: number) =>
        this.options.onDownload?.({ name: this.cached.id.name, bytes: before + bytes, totalBytes });
      await this.#fetchFile(file, metadata, report);
      before += metadata.bytes;
    }
    await this.cached.writeCommit(this.commit);
  }

  /** Whether the repository has a file; unreachable, what was found when it was. */
  async has(file: string): Promise<boolean> {
    if (existsSync(join(this.directory, file))) return true;
    if (!this.reachable || this.cached.isKnownAbsent(this.commit, file)) return false;
    if (await this.#metadata(file)) return true;
    await this.cached.markAbsent(this.commit, file);
    return false;
  }

  async #fetchFile(file: string, metadata: FileMetadata, onBytes: (bytes: number) => void): Promise<void> {
    const { id } = this.cached;
    const path = this.cached.blob(metadata.etag);
    const url = fileUrl(this.connection, { ...id, revision: this.commit }, file);
    await withLock(this.cached.lock(metadata.etag), this.connection.signal, async () => {
      if (existsSync(join(this.directory, file))) return onBytes(metadata.bytes);
      await downloadFile(this.connection, { id, file, url, metadata, path, onBytes });
      await this.cached.link(this.commit, file, metadata.etag);
    });
  }

  async #metadata(file: string): Promise<FileMetadata | undefined> {
    const { id } = this.cached;
    if (!this.reachable) throw notCached(id, this.connection.settings, file);
    return fileMetadata(this.connection, { ...id, revision: this.commit }, file).catch((error: unknown) => {
      if (!(error instanceof InterruptedRequest)) throw error;
      throw new HubError(`${describeHubId(id)}: ${file} did not come: ${error.message}`, { cause: error });
    });
  }
}

function notCached(id: HubId, { cache, offline }: HubSettings, file?: string): HubError {
  const what = file === undefined ? describeHubId(id) : `${file} of ${describeHubId(id)}`;
  const why = offline ? 'HF_HUB_OFFLINE forbids to fetch it' : 'the hub cannot be reached';
  return new HubError(`${what}: not in the cache ${cache}, and ${why}`);
}
