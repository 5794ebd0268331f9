// Prints the kinds of the devices that the ggml of a directory finds, then what asking for a GPU says.
import { openGgml } from '@sled-tts/ggml';

try {
  const ggml = openGgml({ directory: process.argv[2] });
  console.log(`found ${ggml.devices().map(({ kind }) => kind)}`); // prettier-ignore
  ggml.backend('gpu');
} catch (error) {
  console.log((error as Error).message);
}
