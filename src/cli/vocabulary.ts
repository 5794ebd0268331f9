import { Command } from 'commander';
import { debugOption, integer, quietOption } from './options.js';
import { trainingModule } from './training-module.js';
import type { World } from './world.js';

interface VocabularyFlags {
  out: string;
  size: number;
  textIndex?: number;
  quiet?: boolean;
}

/** The released vocabulary's size. */
const RELEASED_SIZE = 16_384;

/** `vocabulary`: byte-level BPE from the texts of manifests. */
export function vocabularyCommand(world: World): Command {
  return new Command('vocabulary')
    .description('learn a byte-level BPE vocabulary from the texts of manifests')
    .argument('<manifests...>', 'JSONL files (.gz too)')
    .requiredOption('--out <folder>', 'folder of vocab.json and merges.txt')
    .option(
      '--size <number>',
      'entries: 4 special tokens, 256 bytes, the rest merges',
      integer(260, 2 ** 20),
      RELEASED_SIZE,
    ) // prettier-ignore
    .option('--text-index <number>', "which of LibriHeavy's texts: 0 cased, 1 normalised", integer(0, 1))
    .addOption(quietOption())
    .addOption(debugOption())
    .action((manifests: string[], flags: VocabularyFlags) => learn(world, manifests, flags));
}

async function learn(world: World, manifests: string[], { out, size, textIndex, quiet }: VocabularyFlags) {
  const { readManifest } = await trainingModule(() => import('../data/manifest.js'));
  const { saveBpe, trainBpe } = await import('../text/index.js');
  const lines: string[] = [];
  for (const manifest of manifests)
    for await (const { text } of readManifest(manifest, { textIndex })) lines.push(text);
  const vocabulary = trainBpe(lines, { vocabSize: size });
  saveBpe(out, vocabulary);
  const entries = Object.keys(vocabulary.vocabulary).length;
  if (!quiet) world.stdout.write(`${entries} entries from ${lines.length} texts: ${out}\n`);
}
