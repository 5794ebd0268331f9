import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A repository in the cache, at the commit that one of its revisions means. */
export interface CachedModel {
  /** `ORG/NAME`, with `@REVISION` where that is not main. */
  name: string;
  directory: string;
  /** Of the snapshot's files. */
  bytes: number;
  /** What `config.json` holds. */
  config: unknown;
}

/** The repositories in a cache that have a config and weights, by name. */
export async function listCache(cache: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const folder of (await readdir(cache).catch(() => [])).sort()) {
    const [kind, ...parts] = folder.split('--');
    if (kind !== 'models' || parts.length !== 2) continue;
    const refs = join(cache, folder, 'refs');
    for (const revision of (await readdir(refs).catch(() => [])).sort()) {
      const commit = (await readFile(join(refs, revision), 'utf8').catch(() => '')).trim();
      const directory = join(cache, folder, 'snapshots', commit);
      const config = await readConfig(directory);
      if (config === undefined || !(await isFile(join(directory, 'model.safetensors')))) continue;
      const name = parts.join('/') + (revision === 'main' ? '' : `@${revision}`);
      models.push({ name, directory, bytes: await directoryBytes(directory), config });
    }
  }
  return models;
}

/** Bytes of all files of a folder, links followed. */
export async function directoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const entry = await stat(path).catch(() => undefined); // a link may lead nowhere
    if (entry) bytes += entry.isDirectory() ? await directoryBytes(path) : entry.size;
  }
  return bytes;
}

const isFile = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() === true;

async function readConfig(directory: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
  } catch {
    return undefined; // fetched in part, or another tool's
  }
}
