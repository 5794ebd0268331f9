import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import type { WeightType } from '../generate/weights.js';
import { debugOption, modelOption, quietOption, weightsOption } from './options.js';
import type { World } from './world.js';

interface ConvertFlags {
  out: string;
  model?: string;
  codec?: string;
  weights?: string;
  quiet?: boolean;
}

/** `convert`: a model as one file. */
export function convertCommand(world: World): Command {
  return new Command('convert')
    .description('write a model, its tokenizer and its codec as one GGUF file, which --model takes')
    .addOption(modelOption())
    .option('--codec <codec>', "a folder or a hub id; the model's own where left out")
    .addOption(weightsOption())
    .requiredOption('--out <file>', 'the file, such as voice.gguf')
    .addOption(quietOption())
    .addOption(debugOption())
    .action((flags: ConvertFlags) => convert(world, flags));
}

async function convert({ stdout, signal }: World, { quiet, out, model, codec, weights }: ConvertFlags): Promise<void> {
  if (!out.endsWith('.gguf')) throw new Error(`convert: expected a file name that ends in .gguf, got ${out}`);
  const { convertVoice } = await import('../generate/convert-voice.js');
  const { resolveModel } = await import('../generate/resolve-model.js');
  const directory = await resolveModel(model, { kind: 'model', signal });
  await convertVoice(directory, out, { codec, signal, weights: weights as WeightType | undefined }); // it checks the type
  const { size } = await stat(out);
  if (!quiet) stdout.write(`${(size / 1e6).toFixed(1)} MB: ${out}\n`);
}
