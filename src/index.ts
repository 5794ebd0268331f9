export { SledTts, type LoadOptions, type SpeakOptions, type SpeakProgress, type Speech } from './sled-tts.js';
export type { WeightType } from './generate/weights.js';
export { shippedVoices } from './generate/shipped-voices.js';
export type { SledConfig } from './model/config.js';
export { CheckpointError, ShapeError } from './model/errors.js';
export { GgmlError } from '@sled-tts/ggml';
export { AudioError } from './audio/audio.js';
export { writeAudio } from './audio/write-audio.js';
