import { describe, expect, test } from 'vitest';
import { openGgml } from '@sled-tts/ggml';
import { EncodecCodec } from '../../../src/codec/encodec/encodec-codec.js';
import { MelCodec } from '../../../src/codec/mel/mel-codec.js';
import { openSession, type OpenSessionOptions } from '../../../src/generate/open-session.js';
import type { Session } from '../../../src/generate/session.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { SledTts } from '../../../src/index.js';
import type { SledConfig } from '../../../src/model/config.js';
import { goldenFiles, goldenLatents, goldenSignal } from '../codec/encodec/golden-codec.js';
import { randomCodecFiles, randomLatents } from '../codec/random-codec.js';
import { TINY } from '../codec/tiny.js';
import { goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';

const tiny = goldenConfig('even-stream'); // heads of 16, which CUDA has no flash attention for
const ofHeads64: SledConfig = { ...tiny, width: 128, heads: 2 };
const ids = [0, ...Array.from({ length: 40 }, (_, i) => 4 + ((i * 7) % 36)), 2];

test('a device that is not there is refused by a line that names those that are, before anything is loaded', async () => {
  const names = openGgml().devices().map(({ name }) => name); // prettier-ignore
  const loading = SledTts.load({ device: 'Quantum0' });
  await expect(loading).rejects.toThrow(/^backend: expected a device of .*, got Quantum0$/);
  await expect(loading).rejects.toThrow(names[0]);
  const codec = new EncodecCodec(goldenFiles('tiny'), { device: 'Quantum0' });
  await expect(codec.createDecoder().decode(goldenLatents(31, codec.latentDim))).rejects.toThrow('got Quantum0');
  await codec.free();
});

/** Frames drawn from the tiny network; `fed` are fed back in place of what was drawn, so that differences do not add up. */
async function draw(config: SledConfig, options: OpenSessionOptions, fed?: readonly Float32Array[]) {
  const session = await openSession(config, hashedCheckpoint(config, new Float32Array(config.width)), options);
  const frames = await framesOf(session, config, 3, fed);
  await session.free();
  return frames;
}

async function framesOf(session: Session, { eosId }: SledConfig, seed: number, fed?: readonly Float32Array[]) {
  const stream = session.open({ noise: new TorchRandom(seed), guidanceScale: 2 });
  stream.feedUnconditional(eosId);
  stream.feedText(ids);
  const frames: Float32Array[] = [];
  while (frames.length < 12) {
    const { latent } = await stream.step();
    frames.push(latent);
    stream.feedFrame(fed?.[frames.length - 1] ?? latent);
  }
  stream.close();
  return frames;
}

const joined = (parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));

// Without such a device there is nothing to test, and nothing that passes.
const gpu = openGgml().devices().find(({ kind }) => kind === 'gpu'); // prettier-ignore
if (gpu)
  describe(`on ${gpu.name} (${gpu.description})`, () => {
    const device = gpu.name;

    // CUDA's tensor cores take 19 bits of float32, and Vulkan rounds what is multiplied to float16 where a driver offers it or has matrix
    // cores.
    const { GGML_VK_DISABLE_F16, GGML_VK_DISABLE_COOPMAT, GGML_VK_DISABLE_COOPMAT2 } = process.env;
    const exact =
      device.startsWith('Vulkan') && GGML_VK_DISABLE_F16 && GGML_VK_DISABLE_COOPMAT && GGML_VK_DISABLE_COOPMAT2;
    const rounds = !exact;
    // A device adds in another order and may compute exp, sin and norms by its own approximations; with float16 it also
    // multiplies float32 activations in half precision, so that types other than f32 differ by that much more.
    const BOUNDS = { f32: rounds ? 0.02 : 2e-3, f16: 0.05, q8_0: 0.2, q4_K: 0.5 } as const;
    describe.each(Object.entries({ tiny, ofHeads64 }))('the network %s', (_, config) => {
      test.each(Object.entries(BOUNDS))('in %s draws what the processor draws', async (type, bound) => {
        const weights = type as keyof typeof BOUNDS;
        const here = await draw(config, { weights, threads: 1 });
        const there = await draw(config, { weights, device }, here);
        expect(there).toHaveLength(here.length);
        expect(largestDifference(joined(there), joined(here))).toBeLessThan(bound);
      });

      test('draws the same for a stream alone and among others', async () => {
        const session = await openSession(config, hashedCheckpoint(config, new Float32Array(config.width)), {
          weights: 'f16',
          device,
        });
        const frames = (seed: number) => framesOf(session, config, seed);
        const alone = await frames(3);
        const among = await Promise.all([3, 4, 5, 6].map(frames));
        await session.free();
        expect(largestDifference(joined(among[0]), joined(alone))).toBeLessThan(0.05);
        expect(largestDifference(joined(among[1]), joined(alone))).toBeGreaterThan(0.1);
      });
    });

    test('EnCodec decodes and encodes as the processor does', async () => {
      const codecs = [new EncodecCodec(goldenFiles('tiny')), new EncodecCodec(goldenFiles('tiny'), { device })];
      const decoded = codecs.map(async (codec) => {
        const decoder = codec.createDecoder();
        const sound = [await decoder.decode(goldenLatents(31, codec.latentDim)), await decoder.flush()];
        return joined(sound);
      });
      const [here, there] = await Promise.all(decoded);
      expect(largestDifference(there, here)).toBeLessThan(rounds ? 0.02 : 1e-3);
      const [codes, again] = await Promise.all(codecs.map((codec) => codec.encodeToCodes(goldenSignal(24 * 20))));
      // A code whose neighbour is as near may be the neighbour.
      expect(codes.filter((code, i) => code !== again[i]).length).toBeLessThan(0.05 * codes.length);
      for (const codec of codecs) await codec.free();
    });

    // Its pulses drift when the pitch is rounded: samples could not be compared.
    if (!rounds)
      test('the light codec decodes as the processor does', async () => {
        const files = randomCodecFiles(TINY);
        const codecs = [new MelCodec(files), new MelCodec(files, { device })];
        const decoded = codecs.map(async (codec) => {
          const decoder = codec.createDecoder();
          const sound = [await decoder.decode(randomLatents(TINY, 31)), await decoder.flush()];
          return joined(sound);
        });
        const [here, there] = await Promise.all(decoded);
        expect(largestDifference(there, here)).toBeLessThan(0.01 * Math.max(...here));
        for (const codec of codecs) await codec.free();
      });
  });
