/** Eight utterances whose tokens and latents are small fixed patterns, as the trainer takes them. */
export function hashedDataset({ vocabSize, latentDim }) {
  const samples = Array.from({ length: 8 }, (_, i) => {
    const frames = 5 + i;
    const tokens = Int32Array.of(0, ...Array.from({ length: 3 + (i % 4) }, (_, k) => 4 + ((7 * i + 3 * k) % (vocabSize - 4))), 2); // prettier-ignore
    const latents = Float32Array.from({ length: frames * latentDim }, (_, k) => Math.sin(k * (i + 1)));
    return { id: `${i}`, text: '', tokens, frames, spoken: null, copyLatents: (out, at) => out.set(latents, at) };
  });
  return {
    length: samples.length,
    latentDim,
    frames: Int32Array.from(samples, ({ frames }) => frames),
    sample: (index) => samples[index],
  };
}
