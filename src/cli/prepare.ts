import { Command, Option } from 'commander';
import { debugOption, integer, number, quietOption } from './options.js';
import { trainingModule } from './training-module.js';
import type { World } from './world.js';

interface PrepareFlags {
  out: string;
  codec: string;
  text: 'phonemes-en';
  shardSize?: number;
  maxSeconds?: number;
  rank: number;
  ranks: number;
  quiet?: boolean;
}

/** `prepare`: manifests of recordings to the shards that `train` reads. */
export function prepareCommand(world: World): Command {
  const environment = (name: string, fallback: number) => integer(0, 65_536)(process.env[name] ?? String(fallback));
  return new Command('prepare')
    .description('turn manifests of recordings into shards of latents and tokens, once')
    .argument('<manifests...>', 'JSONL files (.gz too): one utterance a line')
    .requiredOption('--out <folder>', 'folder of the shards; those that are there are kept')
    .requiredOption('--codec <folder>', 'the codec that encodes the recordings')
    .addOption(new Option('--text <kind>', 'how text becomes tokens').choices(['phonemes-en']).default('phonemes-en'))
    .option('--shard-size <number>', 'utterances a shard', integer(1, 1_000_000))
    .option('--max-seconds <number>', 'leave longer utterances out', number(0, 3_600))
    .option('--rank <number>', 'which share of the manifests is done here', integer(0, 65_535), environment('RANK', 0))
    .option('--ranks <number>', 'how many shares there are', integer(1, 65_536), environment('WORLD_SIZE', 1))
    .addOption(quietOption())
    .addOption(debugOption())
    .action((manifests: string[], flags: PrepareFlags) => run(world, manifests, flags));
}

async function run(world: World, manifests: string[], flags: PrepareFlags): Promise<void> {
  const { prepare } = await trainingModule(() => import('../data/prepare.js'));
  const { MelCodec } = await import('../codec/mel/mel-codec.js');
  const { EnglishPhonemes } = await import('../text/english.js');
  const { isPhoneme, phonemeId } = await import('../text/alphabet.js');
  const codec = MelCodec.open(flags.codec);
  try {
    await prepare({
      ...flags,
      manifests,
      codec,
      frontEnd: new EnglishPhonemes(),
      frontEndName: flags.text,
      phonemeId: (phoneme) => (isPhoneme(phoneme) ? phonemeId(phoneme) : undefined),
      onProgress: ({ manifest, utterances, hours, skipped }) => {
        world.signal.throwIfAborted();
        const line = `${manifest}: ${utterances} utterances, ${hours.toFixed(2)} hours, ${skipped} left out\n`;
        if (!flags.quiet) world.stderr.write(line);
      },
    });
  } finally {
    codec.free();
  }
}
