import { Command, Option } from 'commander';
import { debugOption, integer, number, quietOption, threadsOption } from './options.js';
import { trainingModule } from './training-module.js';
import { WorkBar } from './work-bar.js';
import type { World } from './world.js';

export interface PrepareFlags {
  out: string;
  codec: string;
  text: 'phonemes-en' | 'bpe';
  vocabulary?: string;
  audioRoot?: string;
  textIndex?: number;
  shardSize?: number;
  maxSeconds?: number;
  maxPositions?: number;
  skipMissing?: boolean;
  rank: number;
  ranks: number;
  threads?: number;
  quiet?: boolean;
}

/** `prepare`: manifests of recordings to the shards that `train` reads. */
export function prepareCommand(world: World): Command {
  const environment = (name: string, fallback: number) => integer(0, 65_536)(process.env[name] ?? String(fallback));
  return new Command('prepare')
    .description('turn manifests of recordings into shards of codes or latents and tokens, once')
    .argument('<manifests...>', "JSONL files (.gz too): one utterance a line, LibriHeavy's own or the short form")
    .requiredOption('--out <folder>', 'folder of the shards; those that are there are kept')
    .requiredOption(
      '--codec <codec>',
      'the codec that encodes the recordings: EnCodec to codes, a mel codec to latents',
    )
    .addOption(
      new Option('--text <kind>', 'how text becomes tokens').choices(['phonemes-en', 'bpe']).default('phonemes-en'),
    )
    .option('--vocabulary <folder>', 'vocab.json and merges.txt, for --text bpe')
    .option('--audio-root <folder>', "what the recordings' paths are relative to; the manifest's folder where left out")
    .option('--text-index <number>', "which of LibriHeavy's texts: 0 cased, 1 normalised", integer(0, 1))
    .option('--shard-size <number>', 'utterances a shard', integer(1, 1_000_000))
    .option('--max-seconds <number>', 'leave longer utterances out; 30 where left out', number(0, 3_600))
    .option(
      '--max-positions <number>',
      'leave utterances out whose tokens and frames reach this; 2048 where left out',
      integer(8, 2 ** 24),
    ) // prettier-ignore
    .option('--skip-missing', 'leave utterances out whose recording is not there')
    .option('--rank <number>', 'which share of the shards is done here', integer(0, 65_535), environment('RANK', 0))
    .option('--ranks <number>', 'how many shares there are', integer(1, 65_536), environment('WORLD_SIZE', 1))
    .addOption(threadsOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .action((manifests: string[], flags: PrepareFlags) => runPrepare(world, manifests, flags));
}

/** Prepares manifests; also what training on recordings begins with. */
export async function runPrepare(world: World, manifests: string[], flags: PrepareFlags): Promise<void> {
  if (flags.rank >= flags.ranks)
    throw new Error(`--rank: expected less than --ranks ${flags.ranks}, got ${flags.rank}`);
  const { prepare } = await trainingModule(() => import('../data/prepare.js'));
  const { copyVocabulary } = await import('../train/write-voice.js');
  const { manifestLines } = await import('../data/manifest.js');
  const { openCodec } = await import('../codec/index.js');
  const { resolveModel } = await import('../generate/resolve-model.js');
  const front = await frontEndOf(flags);
  const directory = await resolveModel(flags.codec, { kind: 'codec', signal: world.signal });
  const codec = openCodec(directory, { threads: flags.threads });
  try {
    let total = 0;
    for (const manifest of manifests) for await (const _ of manifestLines(manifest)) total++;
    const bar = new WorkBar(world.stderr, { total, quiet: flags.quiet });
    const started = performance.now();
    try {
      const { quiet: _quiet, ...options } = flags;
      await prepare({
        ...options,
        ...front,
        manifests,
        codec,
        signal: world.signal,
        onProgress: ({ read, encoded, hours, skipped }) => {
          const rate = hours / Math.max((performance.now() - started) / 1000, 1e-3);
          bar.update(read, `${encoded} utterances, ${hours.toFixed(2)} h, ${skipped} left out, ${rate.toFixed(3)} h a second`); // prettier-ignore
        },
      });
    } finally {
      bar.stop();
    }
    if (flags.vocabulary) copyVocabulary(flags.vocabulary, flags.out);
  } finally {
    await codec.free();
  }
}

async function frontEndOf({ text, vocabulary }: PrepareFlags) {
  if ((text === 'bpe') !== (vocabulary !== undefined))
    throw new Error('--vocabulary: goes with --text bpe, which cannot do without');
  const { createFrontEnd } = await import('../text/index.js');
  if (vocabulary !== undefined)
    return { frontEnd: createFrontEnd({ kind: 'bpe', directory: vocabulary }), frontEndName: text };
  const { isPhoneme, phonemeId } = await import('../text/alphabet.js');
  return {
    frontEnd: createFrontEnd({ kind: 'phonemes-en' }),
    frontEndName: text,
    phonemeId: (phoneme: string) => (isPhoneme(phoneme) ? phonemeId(phoneme) : undefined),
  };
}
