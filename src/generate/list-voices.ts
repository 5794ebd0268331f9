import { directoryBytes, listCache } from '../hub/list-cache.js';
import { hubSettings } from '../hub/settings.js';
import { shippedVoice, shippedVoices } from './shipped-voices.js';

/** Something that can be spoken with on this machine without a download. */
export interface ListedVoice {
  /** What `model`, or `codec`, is called. */
  name: string;
  kind: 'model' | 'codec';
  bytes: number;
  directory: string;
  shipped: boolean;
}

/** The kinds of models of others that we can load, by their config's `model_type`. */
const KINDS = new Map<unknown, ListedVoice['kind']>([
  ['speech_llama', 'model'],
  ['sled', 'model'],
  ['encodec', 'codec'],
]);

/** The shipped voices, then the models and codecs in the cache of Hugging Face's tools. */
export async function listVoices(cache = hubSettings().cache): Promise<ListedVoice[]> {
  const voices: ListedVoice[] = [];
  for (const name of shippedVoices()) {
    const directory = shippedVoice(name);
    if (directory === undefined) continue;
    voices.push({ name, kind: 'model', bytes: await directoryBytes(directory), directory, shipped: true });
  }
  for (const { name, bytes, directory, config } of await listCache(cache)) {
    const kind = KINDS.get((config as { model_type?: unknown } | null)?.model_type);
    if (kind) voices.push({ name, kind, bytes, directory, shipped: false });
  }
  return voices;
}
