import { Command } from 'commander';
import { readAudio } from '../audio/read-audio.js';
import { codecOption, debugOption, loadSpeaker, modelOption, quietOption, type LoadFlags } from './options.js';
import type { World } from './world.js';

interface MakeFlags extends LoadFlags {
  audio: string;
  text: string;
  out: string;
}

/** `voice make`: a file to speak with from a recording. */
export function voiceCommand(world: World): Command {
  const make = new Command('make')
    .description('make a voice file of a recording, for --voice')
    .requiredOption('--audio <file>', 'the recording: a few seconds of clear speech')
    .requiredOption('--text <text>', 'what is said in it, to the letter')
    .requiredOption('--out <file>', 'the file, such as my.voice')
    .addOption(modelOption())
    .addOption(codecOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .action((flags: MakeFlags) => makeVoice(world, flags));
  return new Command('voice').description('make a voice to speak with').helpCommand(false).addCommand(make);
}

async function makeVoice(world: World, flags: MakeFlags): Promise<void> {
  const { audio, text, out, quiet } = flags;
  if (text.trim() === '') throw new Error("voice make: expected what the recording says after '--text', got nothing");
  const recording = await readAudio(audio);
  const speaker = await loadSpeaker(world, flags);
  try {
    const voice = await speaker.createVoice({ ...recording, text });
    voice.save(out);
    if (!quiet) world.stdout.write(`${voice.seconds.toFixed(2)} s of speech: ${out}\n`);
  } finally {
    await speaker.free();
  }
}
