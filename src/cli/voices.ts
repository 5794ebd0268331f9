import { Command } from 'commander';
import { debugOption } from './options.js';
import type { World } from './world.js';

/** `voices`: what can be spoken with here. */
export function voicesCommand(world: World): Command {
  return new Command('voices')
    .description('list the shipped voices, and the models and codecs that were fetched from the hub')
    .addOption(debugOption())
    .action(() => listing(world));
}

async function listing(world: World): Promise<void> {
  const { listVoices } = await import('../generate/list-voices.js');
  const voices = await listVoices();
  const width = Math.max(0, ...voices.map(({ name }) => name.length));
  for (const { name, kind, bytes, directory, shipped } of voices) {
    const size = `${(bytes / 1e6).toFixed(1)} MB`.padStart(10);
    const place = shipped ? 'shipped' : `${kind} ${directory}`;
    world.stdout.write(`${name.padEnd(width)}  ${size}  ${place}\n`);
  }
}
