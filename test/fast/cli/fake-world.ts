import { Readable, Writable } from 'node:stream';
import { run } from '../../../src/cli/run.js';
import type { LoadOptions, World } from '../../../src/cli/world.js';
import { FakeSpeaker } from './fake-speaker.mjs';

/** What a test's command line did. */
export interface Outcome {
  code: number;
  stdout: Buffer;
  stderr: string;
  speaker: FakeSpeaker;
  loaded: LoadOptions[];
}

class Sink extends Writable {
  readonly pieces: Buffer[] = [];
  isTTY = false;
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.pieces.push(Buffer.from(piece));
    done();
  }
}

/** Runs a command line with a fake speaker and without touching this process's streams. */
export async function runFake(
  args: string[],
  input: string | Readable = '',
  change: Partial<World> = {},
): Promise<Outcome> {
  const [stdout, stderr, speaker] = [new Sink(), new Sink(), new FakeSpeaker()];
  const loaded: LoadOptions[] = [];
  const world: World = {
    stdin: typeof input === 'string' ? Readable.from([Buffer.from(input)]) : input,
    stdout,
    stderr,
    signal: new AbortController().signal,
    loadSpeaker: async (options) => {
      loaded.push(options);
      return speaker;
    },
    ...change,
  };
  const code = await run(args, world, '1.2.3');
  return {
    code,
    stdout: Buffer.concat(stdout.pieces),
    stderr: Buffer.concat(stderr.pieces).toString(),
    speaker,
    loaded,
  };
}
