import { Command } from 'commander';
import { cloneCommand } from './clone.js';
import { codecCommand } from './codec.js';
import { convertCommand } from './convert.js';
import { manifestCommand } from './manifest.js';
import { prepareCommand } from './prepare.js';
import { sayCommand } from './say.js';
import { streamCommand } from './stream.js';
import { trainCommand } from './train.js';
import { vocabularyCommand } from './vocabulary.js';
import { voiceCommand } from './voice.js';
import { voicesCommand } from './voices.js';
import type { World } from './world.js';

const VERBS = [
  sayCommand,
  streamCommand,
  cloneCommand,
  voiceCommand,
  voicesCommand,
  convertCommand,
  trainCommand,
  manifestCommand,
  vocabularyCommand,
  prepareCommand,
  codecCommand,
];

/** The command line, one file a verb. */
export function createProgram(world: World, version: string): Command {
  const program = new Command('sled-tts')
    .description('Speech that is generated as text is written.')
    .version(version)
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => void world.stderr.write(text),
      outputError: (text, write) => write(`${text.trim().replace('error:', 'sled-tts:').replaceAll('\n', ' ')}\n`),
    });
  for (const verb of VERBS) program.addCommand(verb(world));
  inheritSettings(program);
  return program;
}

/** Verbs that are made on their own do not take over how errors are printed. */
function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inheritSettings(command);
  }
}
