/**
 * The end of the mel codec's decoder on libtorch: what its last layer gives becomes sound, differentiably.
 *
 * B batch, F spectrum frames, N samples.
 */
import {
  autocast,
  complex,
  hannWindow,
  istft,
  keep,
  noGrad,
  stft,
  tensor,
  viewAsReal,
  type Tensor,
} from '@sled-tts/torch';
import type { MelCodecConfig } from '../../codec/mel/config.js';
import { LARGEST_LOG_MAGNITUDE } from '../../codec/mel/decoder-graph.js';
import { Source } from '../../codec/mel/source.js';

/** Spectra of the two sources, real and imaginary parts [B, F, bins] each. */
interface SourceSpectra {
  readonly pulses: readonly [Tensor, Tensor];
  readonly noise: readonly [Tensor, Tensor];
}

/** The decoder's last layer [B, F, headSize] to samples. */
export class Synthesis {
  private readonly window: Tensor;

  constructor(readonly config: MelCodecConfig) {
    this.window = keep(hannWindow(config.fftSize));
  }

  /** [B, F, headSize] -> [B, F * hop]; row b of the batch has noise of the seed `noiseSeed` + b. */
  samples(head: Tensor, noiseSeed: number): Tensor {
    const { fftSize, spectrumHopLength: hopLength, decoderSource } = this.config;
    return autocast(null, () => {
      const [real, imaginary] = decoderSource === 'none' ? polar(head) : this.filtered(head, noiseSeed);
      const spectrum = complex(real, imaginary).transpose(1, 2);
      const length = head.shape[1] * hopLength;
      return istft(spectrum, { fftSize, hopLength, window: this.window, center: true, length });
    });
  }

  /** Octaves that a head states, [B, F]: those of the frames `pitchLead` later. */
  octaves(head: Tensor): Tensor {
    return head.select(-1, head.shape[2] - 1);
  }

  // pulses * harmonic filter + noise * noise filter: [B, F, bins] twice
  private filtered(head: Tensor, noiseSeed: number): [Tensor, Tensor] {
    const bins = this.config.fftSize / 2 + 1;
    const { pulses, noise } = noGrad(() => this.spectra(this.octaves(head), noiseSeed));
    const [re, im] = polar(head.narrow(-1, 0, 2 * bins));
    const hiss = magnitude(head.narrow(-1, 2 * bins, bins));
    const real = pulses[0].mul(re).sub(pulses[1].mul(im)).add(noise[0].mul(hiss));
    const imaginary = pulses[0].mul(im).add(pulses[1].mul(re)).add(noise[1].mul(hiss));
    return [real, imaginary];
  }

  private spectra(octaves: Tensor, noiseSeed: number): SourceSpectra {
    const { fftSize, spectrumHopLength: hopLength } = this.config;
    const [B, F] = octaves.shape;
    const length = fftSize + (F - 1) * hopLength;
    const sources = new Float32Array(2 * B * length);
    const values = octaves.toFloat32Array();
    for (let b = 0; b < B; b++) {
      const rows = [b, B + b].map((row) => sources.subarray(row * length, (row + 1) * length));
      writeSource(new Source(this.config, noiseSeed + b), values.subarray(b * F, (b + 1) * F), rows);
    }
    const spectra = stft(tensor(sources, [2 * B, length]), { fftSize, hopLength, window: this.window, center: false });
    const parts = viewAsReal(spectra.transpose(1, 2)); // [2 B, F, bins, 2]
    const part = (start: number, i: number) => parts.narrow(0, start, B).select(-1, i);
    return { pulses: [part(0, 0), part(0, 1)], noise: [part(B, 0), part(B, 1)] };
  }
}

/** Writes pulses and noise of a pitch track to the rows, as far as its frames' windows reach. */
function writeSource(source: Source, octaves: Float32Array, [pulses, noise]: Float32Array[]): void {
  let at = 0;
  for (const octave of octaves) {
    const count = Math.min(source.extend(octave), pulses.length - at);
    pulses.set(source.pulses.subarray(0, count), at);
    noise.set(source.noise.subarray(0, count), at);
    at += count;
  }
}

// exp(m) * (cos(p) + i sin(p)): [.., 2 * bins] -> real and imaginary parts [.., bins]
function polar(output: Tensor): [Tensor, Tensor] {
  const [logMagnitude, phase] = output.chunk(2, -1);
  const size = magnitude(logMagnitude);
  return [size.mul(phase.cos()), size.mul(phase.sin())];
}

function magnitude(logarithm: Tensor): Tensor {
  return logarithm.clamp(null, LARGEST_LOG_MAGNITUDE).exp();
}
