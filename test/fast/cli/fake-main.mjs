// The built command line with a speaker that needs no voice: what concerns signals and pipes is tested in a process.
import { runProcess } from '../../../dist/cli/process.js';
import { FakeSpeaker } from './fake-speaker.mjs';

await runProcess(async () => new FakeSpeaker(Number(process.env.FAKE_DELAY_MS ?? 0)));
