// What the benchmarks of a whole voice share.
import { statSync } from 'node:fs';
import { loadVoice } from '../dist/generate/load-voice.js';
import { resolveModel } from '../dist/generate/resolve-model.js';
import { TokenQueue } from '../dist/generate/token-source.js';
import { TorchRandom } from '../dist/generate/torch-random.js';

export const TEXT =
  'It was silent and gloomy, being tenanted solely by the captive and lighted by the dying embers of a fire which had been used for the purposes of cookery.';

/** Loads a model; `loadMs` is how long it took. */
export async function load(model, options) {
  const directory = await resolveModel(model, { kind: 'model' });
  const begin = performance.now();
  const parts = await loadVoice(directory, { onWarning: () => undefined, ...options });
  return { parts, loadMs: performance.now() - begin, fileBytes: statSync(directory).size };
}

/** Draws frames [D] of the text; `forced` frames are fed back in place of what was drawn. `onFirst` is told of the first, which waits for the text. */
export async function draw(parts, { frames, guidanceScale, seed = 0, forced, onFirst }) {
  const { session, config, frontEnd } = parts;
  const stream = session.open({ guidanceScale, noise: new TorchRandom(seed) });
  stream.feedUnconditional(config.eosId);
  stream.feedText((await TokenQueue.of(frontEnd.encode(TEXT)).read(Infinity)).ids);
  const drawn = [];
  try {
    while (drawn.length < frames) {
      const { latent } = await stream.step();
      stream.feedFrame(forced?.[drawn.length] ?? latent);
      drawn.push(latent);
      if (drawn.length === 1) onFirst?.();
    }
  } finally {
    stream.close();
  }
  return drawn;
}

/** Bytes of weights that a frame reads: all but the table of text embeddings, of which it reads a row. */
export function bytesPerFrame({ session: { parts } }) {
  const { weights } = parts;
  return weights.bytes - weights.tensor('textEmbedding.weight').bytes;
}

/** Mean over frames of |a - b| / |b|. */
export function relativeError(a, b) {
  const norm = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return a.reduce((sum, frame, t) => sum + norm(frame.map((v, i) => v - b[t][i])) / norm(b[t]), 0) / a.length;
}

export async function free({ session, codec }) {
  await session.free();
  codec.free();
}
