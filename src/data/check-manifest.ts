import { dirname } from 'node:path';
import { AudioError } from '../audio/audio.js';
import { openAudioStream } from '../audio/stream-audio.js';
import { ManifestError, manifestLines, parseUtterance, type ManifestOptions, type Utterance } from './manifest.js';
import { END_TOLERANCE_SECONDS } from './recording.js';

/** What a manifest holds that can be used, and how much of it cannot. */
export interface ManifestReport {
  utterances: number;
  hours: number;
  recordings: number;
  problems: number;
}

/** Lengths of recordings that are kept; manifests list the utterances of one after another. */
const MAX_KNOWN = 100_000;

/**
 * Reads a manifest to its end and says of every line what is wrong with it: JSON, times, text, an id that was there
 * before, a recording that is missing or damaged, or an end beyond the recording's.
 * @param onProblem one line, which begins with the manifest and the number of the line
 */
export async function checkManifest(
  path: string,
  options: ManifestOptions,
  onProblem: (problem: string) => void,
): Promise<ManifestReport> {
  const report: ManifestReport = { utterances: 0, hours: 0, recordings: 0, problems: 0 };
  const lengths = new Map<string, Promise<number | string>>();
  const ids = new Map<string, string>();
  const tell = (problem: string) => {
    report.problems++;
    onProblem(problem);
  };
  try {
    for await (const { line, where } of manifestLines(path)) {
      const utterance = parse(line, where, { ...options, audioRoot: options.audioRoot ?? dirname(path) }, tell);
      if (!utterance) continue;
      const earlier = ids.get(utterance.id);
      if (earlier !== undefined) tell(`${where}: the id ${utterance.id} stands in ${earlier} too`);
      ids.set(utterance.id, where);
      let length = lengths.get(utterance.path);
      if (length === undefined) {
        if (lengths.size >= MAX_KNOWN) lengths.clear();
        length = recordingSeconds(utterance.path);
        lengths.set(utterance.path, length);
        report.recordings++;
      }
      const problem = misfit(utterance, await length);
      if (problem === null) {
        report.utterances++;
        report.hours += utterance.durationSeconds / 3600;
      } else tell(`${where}: ${problem}`);
    }
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    tell(error.message); // a compressed file that ends too early
  }
  return report;
}

function parse(line: string, where: string, options: ManifestOptions, tell: (problem: string) => void) {
  try {
    return parseUtterance(line, where, options);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    tell(error.message);
    return null;
  }
}

/** Seconds by the recording's header; Infinity where it does not say; or what is wrong with the file. */
async function recordingSeconds(path: string): Promise<number | string> {
  try {
    const { length, sampleRate, close } = await openAudioStream(path);
    await close();
    return length > 0 ? length / sampleRate : Infinity;
  } catch (error) {
    if (error instanceof AudioError) return error.message;
    throw error;
  }
}

function misfit({ startSeconds, durationSeconds, path }: Utterance, length: number | string): string | null {
  if (typeof length === 'string') return length;
  const end = startSeconds + durationSeconds;
  if (end <= length + END_TOLERANCE_SECONDS && startSeconds < length) return null;
  return `ends at ${end.toFixed(3)} s, but ${path} has ${length.toFixed(3)} s`;
}
