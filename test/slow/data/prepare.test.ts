import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrepareTotals } from '../../../src/data/prepare.js';
import { Random } from '../../../src/data/random.js';
import { writeShard } from '../../../src/data/shards.js';
import { encodeFlac } from '../../fast/data/make-flac.js';

const CHILD = fileURLToPath(new URL('prepare-child.mjs', import.meta.url));
const RATE = 16_000;

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'sled-prepare-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with one FLAC recording and cuts of a second, evenly over it. */
function recording(name: string, seconds: number, cuts: number): string {
  const path = join(folder, name);
  mkdirSync(path);
  const pcm = Int16Array.from({ length: seconds * RATE }, (_, i) => 8000 * Math.sin(i / 20) + ((i * 7919) % 600));
  writeFileSync(join(path, 'a.flac'), encodeFlac(pcm, RATE));
  const line = (i: number) => ({ id: `${i}`, start: (i * (seconds - 1)) / cuts, duration: 1, supervisions: [{ text: 'a' }], recording: { sources: [{ source: 'a.flac' }] } }); // prettier-ignore
  writeFileSync(join(path, 'manifest.jsonl'), Array.from({ length: cuts }, (_, i) => JSON.stringify(line(i))).join('\n')); // prettier-ignore
  return path;
}

const prepared = (path: string, out: string, shardSize: number): PrepareTotals & { peakMegabytes: number } =>
  JSON.parse(execFileSync('node', [CHILD, path, out, String(shardSize)], { encoding: 'utf8' }));

describe('prepare', () => {
  it('takes no more memory for an hour-long recording than for five minutes', () => {
    const [short, long] = [recording('short', 300, 40), recording('long', 3600, 40)].map((path) =>
      prepared(path, join(path, 'out'), 100),
    );
    console.log(`peak: five minutes ${short.peakMegabytes.toFixed(0)} MB, an hour ${long.peakMegabytes.toFixed(0)} MB`);
    expect([short.encoded, long.encoded]).toEqual([40, 40]);
    // an hour decoded is 230 MB, and 70 as FLAC
    expect(long.peakMegabytes - short.peakMegabytes).toBeLessThan(40);
    expect(long.peakMegabytes).toBeLessThan(350);
  });

  it('killed again and again at random times, ends with the shards of a run that was left alone', async () => {
    const path = recording('kill', 60, 48);
    const [whole, killed] = [join(path, 'whole'), join(path, 'killed')];
    prepared(path, whole, 4);
    const random = new Random(5);
    let kills = 0;
    for (let done = false; !done;) {
      const child = spawn('node', [CHILD, path, killed, '4'], { stdio: 'ignore' });
      const exited = once(child, 'exit');
      const before = count(killed);
      for (let i = 0; i < 600 && count(killed) === before && child.exitCode === null; i++) await sleep(5);
      await sleep(random.below(150));
      child.kill('SIGKILL');
      const [code] = (await exited) as [number | null];
      done = code === 0;
      if (!done) kills++;
    }
    expect(kills).toBeGreaterThan(2);
    const names = readdirSync(whole).sort();
    expect(readdirSync(killed).sort()).toEqual(names);
    for (const name of names) expect(readFileSync(join(killed, name)), name).toEqual(readFileSync(join(whole, name)));
  });

  const count = (out: string) => (existsSync(out) ? readdirSync(out).filter((name) => name.endsWith('.arrow')).length : 0); // prettier-ignore
});

const PYARROW = 'pyarrow==21.0.0';
const READ = `
import json, sys
import pyarrow
table = pyarrow.ipc.open_file(sys.argv[1]).read_all()
meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
rows = table.to_pylist()
for row in rows: row["latents"] = [float(x) for x in row["latents"]] if "latents" in row else None
print(json.dumps(dict(meta=meta, types=[str(f.type) for f in table.schema], rows=rows)))
`;

describe('pyarrow', () => {
  const packages = fileURLToPath(new URL('../../../node_modules/.cache/pyarrow', import.meta.url));
  beforeAll(() => {
    if (!existsSync(join(packages, 'pyarrow')))
      execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', packages, PYARROW]);
  });
  const read = (path: string) =>
    JSON.parse(execFileSync('python3', ['-c', READ, path], { encoding: 'utf8', env: { ...process.env, PYTHONPATH: packages } })); // prettier-ignore

  it('reads shards of codes and of latents', () => {
    const info = { latentDim: 2, hopLength: 320, sampleRate: 24_000, frontEnd: 'bpe' };
    const row = { id: 'a', text: 'Über', tokens: [0, 7, 2], ends: null };
    writeShard(join(folder, 'codes.arrow'), [{ ...row, codes: Uint16Array.of(1023, 0, 5, 6, 7, 8) }], { ...info, codebooks: 3 }); // prettier-ignore
    writeShard(join(folder, 'latents.arrow'), [{ ...row, ends: [640], latents: Float32Array.of(0.5, -2, 3, 0.25) }], info); // prettier-ignore
    const codes = read(join(folder, 'codes.arrow'));
    expect(codes.meta).toEqual({ latentDim: '2', hopLength: '320', sampleRate: '24000', frontEnd: 'bpe', codebooks: '3' }); // prettier-ignore
    expect(codes.rows).toEqual([{ ...row, frames: 2, codes: [1023, 0, 5, 6, 7, 8], latents: null }]);
    expect(codes.types[4]).toBe('list<item: uint16 not null>');
    const latents = read(join(folder, 'latents.arrow'));
    expect(latents.rows).toEqual([{ ...row, frames: 2, ends: [640], latents: [0.5, -2, 3, 0.25] }]);
    expect(latents.types[4]).toBe('list<item: halffloat not null>');
  });
});
