/** Loaded when something is trained: speaking does without libtorch. */
export { resolveDevice } from '@sled-tts/torch';
