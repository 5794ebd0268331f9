import { CommanderError } from 'commander';
import { createProgram } from './program.js';
import type { World } from './world.js';

/** Shells' codes for a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs one command line.
 * @param args What follows the program's name.
 * @returns The exit code: 0, 1 after an error (one line on standard error), 130 after Ctrl-C.
 */
export async function run(args: string[], world: World, version: string): Promise<number> {
  try {
    await createProgram(world, version).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1; // it has been printed
    if (isBrokenPipe(error) || isBrokenPipe(world.signal.reason)) return 0; // as in `| head`: the reader has heard enough
    if (world.signal.aborted) {
      world.stderr.write('sled-tts: stopped\n');
      return EXIT_INTERRUPTED;
    }
    world.stderr.write(`sled-tts: ${args.includes('--debug') ? stackOf(error) : oneLine(error)}\n`);
    return 1;
  }
}

const isBrokenPipe = (error: unknown) => (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
const oneLine = (error: unknown) => messageOf(error).replaceAll(/\s*\n\s*/g, ' ');
const stackOf = (error: unknown) => (error instanceof Error && error.stack) || messageOf(error);
