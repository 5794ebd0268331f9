import { tensor, type Tensor } from '@sled-tts/torch';
import { hopLengthOf, type MelCodecConfig } from '../../codec/mel/config.js';
import { octavesOf, pitchLead } from '../../codec/mel/source.js';
import { PitchEstimator } from './pitch.js';

/** Frames less periodic than this have no pitch to learn. */
const VOICED = 0.7;
/** Without a pitch the decoder's is drawn towards octave 0, this weakly. */
const UNVOICED_WEIGHT = 0.01;

/** Mean absolute distance, in octaves, of the decoder's pitches from those of the speech. */
export class PitchLoss {
  private readonly estimator: PitchEstimator;
  private readonly lead: number;

  constructor(private readonly config: MelCodecConfig) {
    this.estimator = new PitchEstimator(config.sampleRate, config.spectrumHopLength);
    this.lead = pitchLead(config);
  }

  /** The decoder's octaves [B, F], `pitchLead` frames ahead of the F frames of `samples` [B, N] -> a number. */
  forward(octaves: Tensor, samples: Float32Array): Tensor {
    const [B, F] = octaves.shape;
    const { targets, weights } = this.targets(samples, B, F);
    const total = Math.max(
      1,
      weights.reduce((a, b) => a + b),
    );
    return octaves
      .sub(tensor(targets, [B, F]))
      .abs()
      .mul(tensor(weights, [B, F]))
      .sum()
      .div(total);
  }

  private targets(samples: Float32Array, B: number, F: number): { targets: Float32Array; weights: Float32Array } {
    const targets = new Float32Array(B * F);
    const weights = new Float32Array(B * F).fill(UNVOICED_WEIGHT);
    const rowLength = (F * hopLengthOf(this.config)) / this.config.stackedFrames;
    for (let b = 0; b < B; b++) {
      const pitches = this.estimator.estimate(samples.subarray(b * rowLength, (b + 1) * rowLength));
      pitches.slice(this.lead).forEach(({ hertz, periodicity }, f) => {
        if (periodicity < VOICED) return;
        targets[b * F + f] = octavesOf(hertz);
        weights[b * F + f] = 1;
      });
    }
    return { targets, weights };
  }
}
