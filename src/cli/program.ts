import { Command } from 'commander';
import { sayCommand } from './say.js';
import { streamCommand } from './stream.js';
import type { World } from './world.js';

const VERBS = [sayCommand, streamCommand];

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
  for (const verb of VERBS) {
    const command = verb(world);
    command.copyInheritedSettings(program);
    program.addCommand(command);
  }
  return program;
}
