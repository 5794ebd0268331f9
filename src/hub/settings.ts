import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HubError } from './errors.js';

/** Where the hub is, where its files are kept, and who asks. */
export interface HubSettings {
  /** URL without a slash at its end. */
  endpoint: string;
  /** Folder that holds `models--ORG--NAME`. */
  cache: string;
  token: string | undefined;
  /** Nothing is asked of the network. */
  offline: boolean;
}

const PUBLIC_ENDPOINT = 'https://huggingface.co';
const TRUE = /^(1|on|yes|true)$/i;

const withHome = (path: string) => (/^~(?=$|[/\\])/.test(path) ? homedir() + path.slice(1) : path);

/**
 * The settings that Hugging Face's own tools read: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` or the token file,
 * `HF_HUB_OFFLINE`.
 * @throws {HubError} for an endpoint that is no URL.
 */
export function hubSettings(environment: NodeJS.ProcessEnv = process.env): HubSettings {
  const given = (...names: string[]) => names.map((name) => environment[name]?.trim()).find(Boolean);
  const home = withHome(given('HF_HOME') ?? join(given('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface'));
  return {
    endpoint: checkEndpoint(given('HF_ENDPOINT') ?? PUBLIC_ENDPOINT),
    cache: withHome(given('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub')),
    token: given('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN') ?? tokenFile(given('HF_TOKEN_PATH') ?? join(home, 'token')),
    offline: TRUE.test(given('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE') ?? ''),
  };
}

function checkEndpoint(endpoint: string): string {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new HubError(`HF_ENDPOINT: expected a URL that begins with https://, got '${endpoint}'`);
  return endpoint.replace(/\/+$/, '');
}

function tokenFile(path: string): string | undefined {
  try {
    return readFileSync(withHome(path), 'utf8').trim() || undefined;
  } catch {
    return undefined; // nobody has logged in
  }
}
