import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { AudioError } from './audio.js';
import { encodePcm16 } from './wav-writer.js';
import { writeAudio } from './write-audio.js';

/** A program that plays sound: raw 16-bit mono from its standard input, or one WAV file. */
interface Player {
  command: string;
  input: 'pipe' | 'file';
  args(sampleRate: number, path: string): string[];
}

/** The players that machines have, best first. */
const PLAYERS: readonly Player[] = [
  {
    command: 'paplay',
    input: 'pipe',
    args: (rate) => ['--raw', '--format=s16le', `--rate=${rate}`, '--channels=1'],
  },
  { command: 'pw-play', input: 'file', args: (_rate, path) => [path] },
  { command: 'aplay', input: 'pipe', args: (rate) => ['-q', '-t', 'raw', '-f', 'S16_LE', '-c', '1', '-r', `${rate}`] },
  { command: 'afplay', input: 'file', args: (_rate, path) => [path] },
  {
    command: 'play',
    input: 'pipe',
    args: (rate) => ['-q', '-t', 'raw', '-e', 'signed', '-b', '16', '-c', '1', '-r', `${rate}`, '-'],
  },
  { command: 'ffplay', input: 'file', args: (_rate, path) => ['-nodisp', '-autoexit', '-loglevel', 'error', path] },
  {
    command: 'powershell.exe',
    input: 'file',
    args: (_rate, path) => ['-NoProfile', '-Command', `(New-Object Media.SoundPlayer '${path}').PlaySync()`],
  },
];

/** Sound on its way to the loudspeaker. */
export interface Playback {
  /** The program that plays. */
  readonly player: string;
  /** Hands samples [N] over; resolves when the player has room for more. */
  write(samples: Float32Array): Promise<void>;
  /** Resolves when all has been heard. */
  end(): Promise<void>;
  /** Falls silent at once. */
  stop(): void;
}

/**
 * Starts playing on the machine's loudspeaker.
 * @param path Where players are looked for; the environment's PATH unless told.
 * @returns Undefined where no player is installed.
 */
export function openPlayback(sampleRate: number, path = process.env.PATH ?? ''): Playback | undefined {
  const player = PLAYERS.find(({ command }) => isInstalled(command, path));
  if (!player) return undefined;
  return player.input === 'pipe' ? pipePlayback(player, sampleRate, path) : filePlayback(player, sampleRate, path);
}

/**
 * Plays samples [N] to their end.
 * @returns The program that played them; undefined where none is installed.
 * @throws {AudioError} Where the player fails, as on a machine without a sound card.
 */
export async function play(
  samples: Float32Array,
  sampleRate: number,
  options: { signal?: AbortSignal } = {},
): Promise<string | undefined> {
  const playback = openPlayback(sampleRate);
  if (!playback) return undefined;
  const stop = () => playback.stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    if (options.signal?.aborted) stop();
    await playback.write(samples);
    await playback.end();
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
  options.signal?.throwIfAborted();
  return playback.player;
}

function pipePlayback(player: Player, sampleRate: number, path: string): Playback {
  const child = start(player, player.args(sampleRate, ''), path);
  const ended = finished(child, player);
  const gone = ended.catch(() => undefined); // end() reports the error
  const input = child.stdin;
  input?.on('error', () => undefined); // the player's exit says why
  return {
    player: player.command,
    async write(samples) {
      if (!input?.writable || child.exitCode !== null) return;
      if (!input.write(encodePcm16(samples))) await Promise.race([once(input, 'drain').catch(() => gone), gone]);
    },
    async end() {
      input?.end();
      await ended;
    },
    stop: () => void child.kill(),
  };
}

function filePlayback(player: Player, sampleRate: number, path: string): Playback {
  const chunks: Float32Array[] = [];
  let child: ChildProcess | undefined;
  let stopped = false;
  return {
    player: player.command,
    write: async (samples) => void chunks.push(samples),
    async end() {
      const folder = await mkdtemp(join(tmpdir(), 'sled-tts-'));
      try {
        const file = join(folder, 'speech.wav');
        await writeAudio(file, concatenate(chunks), sampleRate);
        if (stopped) return;
        child = start(player, player.args(sampleRate, file), path);
        await finished(child, player);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    stop() {
      stopped = true;
      child?.kill();
    },
  };
}

function start(player: Player, args: string[], path: string): ChildProcess {
  return spawn(player.command, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, PATH: path } });
}

/** Rejects with the player's own last line where it fails; a player that was stopped has not failed. */
async function finished(child: ChildProcess, player: Player): Promise<void> {
  let complaint = '';
  child.stderr?.on('data', (text) => (complaint = `${complaint}${text}`.slice(-1000)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (!code) return;
  const reason = complaint.trim().split('\n').at(-1) || `exit code ${code}`;
  throw new AudioError(reason.startsWith(player.command) ? reason : `${player.command}: ${reason}`);
}

function isInstalled(command: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** [N1], [N2], ... -> [N1 + N2 + ...]. */
export function concatenate(chunks: Float32Array[]): Float32Array {
  const samples = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    samples.set(chunk, offset);
    offset += chunk.length;
  }
  return samples;
}
