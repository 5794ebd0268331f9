import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HubError } from '../../../src/hub/errors.js';
import { parseHubId } from '../../../src/hub/hub-id.js';
import { Snapshot, type DownloadProgress, type SnapshotOptions } from '../../../src/hub/snapshot.js';
import type { HubSettings } from '../../../src/hub/settings.js';
import { COMMIT, FakeHub, gitHash, sha256 } from './fake-hub.js';

const NAME = 'some-org/tiny.voice';
const CONFIG = '{"model_type":"sled"}';
const WEIGHTS = randomBytes(100_000);
const PATIENCE = { silenceMs: 2_000, tries: 3, retryDelayMs: 1 };

let hub: FakeHub;
let cache: string;
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'sled-hub-'));
  hub = new FakeHub();
  hub.put(NAME, 'config.json', CONFIG);
  hub.put(NAME, 'model.safetensors', WEIGHTS);
  hub.put(NAME, 'pytorch_model.bin', 'nobody needs this');
  await hub.start();
});
afterEach(async () => {
  await hub.stop();
  rmSync(cache, { recursive: true });
});

const repository = () => join(cache, 'models--some-org--tiny.voice');
const blob = (etag = sha256(WEIGHTS)) => join(repository(), 'blobs', etag);

async function fetchBoth(
  changes: Partial<HubSettings> = {},
  options: Partial<SnapshotOptions> = {},
  name = NAME,
): Promise<string> {
  const settings = hub.settings(cache, changes);
  const snapshot = await Snapshot.open(parseHubId(name)!, { settings, patience: PATIENCE, ...options });
  await snapshot.fetch(['config.json', 'model.safetensors']);
  return snapshot.directory;
}

/** Fails with one HubError line, and leaves no lock and no blob that is not whole. */
async function refused(fetching: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await fetching.then(
    () => new Error('it worked'),
    (error: Error) => error,
  );
  expect(error).toBeInstanceOf(HubError);
  expect(error.message).toMatch(message);
  expect(error.message).not.toContain('\n');
  const locks = join(cache, '.locks/models--some-org--tiny.voice');
  expect(existsSync(locks) ? readdirSync(locks) : []).toEqual([]);
  if (existsSync(blob())) expect(readFileSync(blob())).toEqual(WEIGHTS);
}

describe('a repository of the hub', () => {
  it('is kept as Hugging Face’s tools keep it: blobs by hash, refs, snapshots of links, and only what is needed', async () => {
    const directory = await fetchBoth();
    expect(directory).toBe(join(repository(), 'snapshots', COMMIT));
    expect(readdirSync(directory).sort()).toEqual(['config.json', 'model.safetensors']);
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(WEIGHTS);
    expect(readlinkSync(join(directory, 'model.safetensors'))).toBe(`../../blobs/${sha256(WEIGHTS)}`);
    expect(readlinkSync(join(directory, 'config.json'))).toBe(`../../blobs/${gitHash(Buffer.from(CONFIG))}`);
    expect(readFileSync(join(repository(), 'refs/main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(join(repository(), 'blobs'))).toHaveLength(2);
  });

  it('is not fetched again: one question whether there is a newer commit, none for a commit’s own hash', async () => {
    await fetchBoth();
    hub.takeSeen();
    await fetchBoth();
    expect(hub.takeSeen().map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD /${NAME}/resolve/main/config.json`,
    ]);
    await fetchBoth({}, {}, `${NAME}@${COMMIT}`);
    expect(hub.takeSeen()).toEqual([]);
  });

  it('gets the token, the host that it redirects to does not', async () => {
    hub.faults.token = 'hf_secret';
    await fetchBoth({ token: 'hf_secret' });
    const seen = hub.takeSeen();
    expect(seen.filter(({ host }) => host === 'storage')).toHaveLength(1);
    for (const { host, authorization } of seen)
      expect(authorization).toBe(host === 'hub' ? 'Bearer hf_secret' : undefined);
  });

  it('reports the bytes that are there, up to all of them', async () => {
    const progress: DownloadProgress[] = [];
    await fetchBoth({}, { onDownload: (one) => progress.push(one) });
    expect(progress.at(-1)).toEqual({
      name: NAME,
      bytes: WEIGHTS.length + CONFIG.length,
      totalBytes: WEIGHTS.length + CONFIG.length,
    });
    const bytes = progress.map((one) => one.bytes);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
  });
});

describe('a connection that breaks', () => {
  it('goes on where it was, with a range', async () => {
    hub.faults.drops = 2;
    const directory = await fetchBoth();
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(WEIGHTS);
    const ranges = hub.takeSeen().filter(({ host }) => host === 'storage').map(({ range }) => range); // prettier-ignore
    expect(ranges).toEqual([undefined, 'bytes=50000-', 'bytes=75000-']);
  });

  it('starts anew at a host that knows no ranges', async () => {
    Object.assign(hub.faults, { drops: 2, ignoresRanges: true });
    const directory = await fetchBoth();
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(WEIGHTS);
  });

  it('keeps what has come when it breaks for good, and the next call goes on from there', async () => {
    const patience = { silenceMs: 200, tries: 1, retryDelayMs: 1 };
    hub.faults.stalls = true;
    await refused(
      fetchBoth({}, { patience }),
      /model\.safetensors did not come: .*no answer for 0\.2 s; the same command goes on/,
    );
    expect(readFileSync(`${blob()}.incomplete`).length).toBe(50_000);
    hub.faults.stalls = false;
    hub.takeSeen();
    await fetchBoth();
    expect(hub.takeSeen().find(({ host }) => host === 'storage')?.range).toBe('bytes=50000-');
    expect(readFileSync(blob())).toEqual(WEIGHTS);
    expect(existsSync(`${blob()}.incomplete`)).toBe(false);
  });

  it('is asked again after 503', async () => {
    hub.faults.busy = 2;
    await fetchBoth();
    hub.faults.busy = 3;
    rmSync(repository(), { recursive: true });
    await refused(fetchBoth(), /some-org\/tiny\.voice: 127\.0\.0\.1:\d+ answers 503/);
  });

  it('ends at once with the signal’s reason when it is aborted', async () => {
    hub.faults.stalls = true;
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(fetchBoth({}, { signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('what is wrong is one line', () => {
  it('bytes that have not the promised hash; none of them is kept', async () => {
    hub.faults.wrongBytes = true;
    await refused(fetchBoth(), /model\.safetensors has not the hash that .* promised/);
    expect(existsSync(blob())).toBe(false);
    expect(existsSync(`${blob()}.incomplete`)).toBe(false);
  });

  it('an earlier half that is damaged: it is fetched anew', async () => {
    mkdirSync(join(repository(), 'blobs'), { recursive: true });
    writeFileSync(`${blob()}.incomplete`, Buffer.alloc(1_000, 1));
    await fetchBoth();
    expect(readFileSync(blob())).toEqual(WEIGHTS);
  });

  it.each<[string, string, Partial<HubSettings>, RegExp]>([
    ['a repository that is not there', 'some-org/none', {}, /^some-org\/none: no such model on 127.*or a private one \(401\): set HF_TOKEN$/],
    ['a token that is refused', 'some-org/none', { token: 'hf_old' }, /the token in HF_TOKEN or the token file is refused$/],
    ['a revision that is not there', `${NAME}@v9`, {}, /has no revision 'v9' of it/],
    ['nothing in the cache, offline', NAME, { offline: true }, /tiny\.voice: not in the cache .*, and HF_HUB_OFFLINE forbids/],
    ['no hub at the address', NAME, { endpoint: 'http://127.0.0.1:9' }, /tiny\.voice: 127\.0\.0\.1:9: (connect ECONNREFUSED|bad port)/],
  ])('%s', async (_title, name, changes, message) => {
    await refused(fetchBoth(changes, {}, name), message);
  }); // prettier-ignore

  it('a file that the repository has not', async () => {
    hub.put('some-org/empty', 'config.json', '{}');
    await refused(fetchBoth({}, {}, 'some-org/empty'), /^some-org\/empty: the repository has no model\.safetensors$/);
  });

  it('a server that is no hub', async () => {
    const page = createServer((_request, response) => response.end('<html>'));
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    const { port } = page.address() as { port: number };
    await refused(fetchBoth({ endpoint: `http://127.0.0.1:${port}` }), /is HF_ENDPOINT a hub and not a web page\?/);
    page.closeAllConnections();
    page.close();
  });

  it('a full disk', async () => {
    mkdirSync(join(repository(), 'blobs'), { recursive: true });
    symlinkSync('/dev/full', `${blob()}.incomplete`);
    await refused(fetchBoth(), /no space is left on the disk for model\.safetensors/);
  });
});

describe('offline', () => {
  it('takes what is in the cache and asks nobody', async () => {
    const directory = await fetchBoth();
    hub.takeSeen();
    expect(await fetchBoth({ offline: true })).toBe(directory);
    expect(hub.takeSeen()).toEqual([]);
  });

  it('names the file that is missing', async () => {
    const directory = await fetchBoth();
    rmSync(join(directory, 'model.safetensors'));
    await refused(fetchBoth({ offline: true }), /model\.safetensors of some-org\/tiny\.voice: not in the cache/);
  });

  it('without being asked to be: the copy in the cache is used, with a warning', async () => {
    const directory = await fetchBoth();
    await hub.stop();
    const warnings: string[] = [];
    expect(await fetchBoth({}, { onWarning: (message) => warnings.push(message) })).toBe(directory);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/127\.0\.0\.1:\d+: .*; the copy in the cache is used$/);
  });
});

describe('two at once', () => {
  it('fetch each file once', async () => {
    await Promise.all([fetchBoth(), fetchBoth()]);
    expect(hub.takeSeen().filter(({ host }) => host === 'storage')).toHaveLength(1);
    expect(lstatSync(blob()).size).toBe(WEIGHTS.length);
  });

  it('a lock that a killed process left holds nobody up for long', async () => {
    const locks = join(cache, '.locks/models--some-org--tiny.voice');
    mkdirSync(locks, { recursive: true });
    const lock = join(locks, `${sha256(WEIGHTS)}.sled-tts.lock`);
    writeFileSync(lock, '1\n');
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, longAgo, longAgo);
    await fetchBoth();
    expect(readdirSync(locks)).toEqual([]);
  });
});
