export { SledTts, type LoadOptions } from './sled-tts.js';
export type {
  BatchOptions,
  Recording,
  SpeakOptions,
  SpeakProgress,
  Speech,
  SpokenPart,
  SpokenWord,
} from './speak-options.js';
export type { Prompt } from './generate/prompt.js';
export { Voice, type VoiceCodec } from './generate/voice.js';
export { TorchRandom } from './generate/torch-random.js';
export type { WeightType } from './generate/weights.js';
export { shippedVoices } from './generate/shipped-voices.js';
export type { SledConfig } from './model/config.js';
export { CheckpointError, ShapeError } from './model/errors.js';
export { GgmlError } from '@sled-tts/ggml';
export { HubError } from './hub/errors.js';
export type { DownloadProgress } from './hub/snapshot.js';
export { formatTimings, type TimingFormat } from './captions.js';
export { AudioError, type Audio } from './audio/audio.js';
export { measureLoudness, setLoudness, type Levelled } from './audio/loudness.js';
export { play } from './audio/playback.js';
export { readAudio, type ReadAudioOptions } from './audio/read-audio.js';
export { encodePcm16, encodeWav, wavHeader } from './audio/wav-writer.js';
export { AudioFileWriter, writeAudio, type WriteAudioOptions } from './audio/write-audio.js';
