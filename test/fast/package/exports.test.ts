import { expect, it } from 'vitest';
import * as api from '../../../src/index.js';

it('exports exactly this', () => {
  expect(Object.keys(api).sort()).toEqual([
    'AudioError',
    'AudioFileWriter',
    'CheckpointError',
    'GgmlError',
    'HubError',
    'ShapeError',
    'SledTts',
    'TorchRandom',
    'Voice',
    'encodePcm16',
    'encodeWav',
    'formatTimings',
    'measureLoudness',
    'play',
    'readAudio',
    'setLoudness',
    'shippedVoices',
    'wavHeader',
    'writeAudio',
  ]);
});
