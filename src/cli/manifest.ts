import { dirname } from 'node:path';
import { Command } from 'commander';
import { debugOption, integer, quietOption } from './options.js';
import { trainingModule } from './training-module.js';
import type { World } from './world.js';

interface CheckFlags {
  audioRoot?: string;
  textIndex?: number;
}

/** `manifest make` and `manifest check`: what `prepare` reads, from a folder, and what is wrong with it. */
export function manifestCommand(world: World): Command {
  const make = new Command('make')
    .description('list the recordings of a folder and their transcripts: LJSpeech, LibriTTS, LibriSpeech, audio + .txt')
    .argument('<folder>', 'folder with metadata.csv, *.normalized.txt, *.trans.txt, or a .txt beside each recording')
    .requiredOption('--out <file>', 'the manifest')
    .addOption(quietOption())
    .addOption(debugOption())
    .action((folder: string, flags: { out: string; quiet?: boolean }) => makeFile(world, folder, flags));
  const check = new Command('check')
    .description('list what is wrong with manifests, line by line; exit code 1 where anything is')
    .argument('<manifests...>', 'JSONL files (.gz too)')
    .option('--audio-root <folder>', "what the recordings' paths are relative to; the manifest's folder where left out")
    .option('--text-index <number>', "which of LibriHeavy's texts: 0 cased, 1 normalised", integer(0, 1))
    .addOption(debugOption())
    .action((manifests: string[], flags: CheckFlags) => checkFiles(world, manifests, flags));
  const command = new Command('manifest').description('make and check lists of recordings').helpCommand(false);
  return command.addCommand(make).addCommand(check);
}

async function makeFile(world: World, folder: string, { out, quiet }: { out: string; quiet?: boolean }): Promise<void> {
  const { makeManifest } = await trainingModule(() => import('../data/make-manifest.js'));
  const { writeWhole } = await import('../model/safetensors.js');
  const onMissing = (problem: string) => void (quiet || world.stderr.write(`sled-tts: ${problem}; left out\n`));
  const lines: Buffer[] = [];
  let seconds = 0;
  for await (const line of makeManifest(folder, { relativeTo: dirname(out), onMissing })) {
    world.signal.throwIfAborted();
    lines.push(Buffer.from(`${JSON.stringify(line)}\n`));
    seconds += line.duration;
  }
  writeWhole(out, lines);
  if (!quiet) world.stdout.write(`${lines.length} utterances, ${(seconds / 3600).toFixed(2)} hours: ${out}\n`);
}

async function checkFiles(world: World, manifests: string[], flags: CheckFlags): Promise<void> {
  const { checkManifest } = await trainingModule(() => import('../data/check-manifest.js'));
  let problems = 0;
  for (const manifest of manifests) {
    const report = await checkManifest(manifest, flags, (problem) => {
      world.signal.throwIfAborted();
      world.stdout.write(`${problem}\n`);
    });
    problems += report.problems;
    const { utterances, recordings, hours } = report;
    world.stdout.write(`${manifest}: ${utterances} utterances of ${recordings} recordings, ${hours.toFixed(2)} hours, ${report.problems} problems\n`); // prettier-ignore
  }
  if (problems > 0) throw new Error(`${problems} ${problems === 1 ? 'line' : 'lines'} cannot be used`);
}
