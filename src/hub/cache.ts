import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isCommit, type HubId } from './hub-id.js';

/** One repository in the cache directory that all of Hugging Face's tools share: blobs by their hash, snapshots that link to them. */
export class CachedRepository {
  readonly #root: string;
  readonly #locks: string;

  constructor(
    cache: string,
    readonly id: HubId,
  ) {
    const folder = `models--${id.name.replace('/', '--')}`;
    this.#root = join(cache, folder);
    this.#locks = join(cache, '.locks', folder);
  }

  /** The commit that the revision meant when it was last asked for; undefined where it never was. */
  commit(): string | undefined {
    const { revision } = this.id;
    if (isCommit(revision)) return existsSync(this.snapshot(revision)) ? revision : undefined;
    try {
      const commit = readFileSync(this.#ref(), 'utf8').trim();
      return isCommit(commit) && existsSync(this.snapshot(commit)) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  async writeCommit(commit: string): Promise<void> {
    if (isCommit(this.id.revision)) return;
    await writeWhole(this.#ref(), commit);
  }

  /** The folder that looks like the repository at a commit. */
  snapshot(commit: string): string {
    return join(this.#root, 'snapshots', commit);
  }

  /** Where a file's bytes lie. */
  blob(etag: string): string {
    return join(this.#root, 'blobs', etag);
  }

  lock(etag: string): string {
    return join(this.#locks, `${etag}.sled-tts.lock`);
  }

  /** True where the repository was asked for this file and has none. */
  isKnownAbsent(commit: string, file: string): boolean {
    return existsSync(this.#absent(commit, file));
  }

  async markAbsent(commit: string, file: string): Promise<void> {
    await writeWhole(this.#absent(commit, file), '');
  }

  /** Puts a blob under its name into a snapshot; where links are not allowed, the blob itself. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const pointer = join(this.snapshot(commit), file);
    await mkdir(dirname(pointer), { recursive: true });
    if (existsSync(pointer)) return;
    const partial = `${pointer}.${process.pid}.partial`;
    try {
      await symlink(relative(dirname(pointer), this.blob(etag)), partial);
      await rename(partial, pointer); // replaces a link that leads nowhere
    } catch (error) {
      await rm(partial, { force: true });
      if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await rename(this.blob(etag), pointer);
    }
  }

  #ref(): string {
    return join(this.#root, 'refs', this.id.revision);
  }

  #absent(commit: string, file: string): string {
    return join(this.#root, '.no_exist', commit, file);
  }
}

/** What Windows without its developer mode, and FAT, say to a link. */
const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'UNKNOWN']);

async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, text);
  await rename(partial, path);
}
