import { splitPhonemes } from './alphabet.js';

const NAMES: Readonly<Record<string, string>> = {
  A: 'A',
  B: 'bi',
  C: 'si',
  D: 'di',
  E: 'i',
  F: 'ɛf',
  G: 'ʤi',
  H: 'Aʧ',
  I: 'I',
  J: 'ʤA',
  K: 'kA',
  L: 'ɛl',
  M: 'ɛm',
  N: 'ɛn',
  O: 'O',
  P: 'pi',
  Q: 'kju',
  R: 'ɑɹ',
  S: 'ɛs',
  T: 'ti',
  U: 'ju',
  V: 'vi',
  W: 'dʌbəlju',
  X: 'ɛks',
  Y: 'wI',
  Z: 'zi',
};

/** The names of capital letters as one word, stressed on the last: "FBI" as "ˌɛfbˌiˈI". */
export function letterPhonemes(letters: string): string[] {
  const known = [...letters.toUpperCase()].filter((letter) => Object.hasOwn(NAMES, letter));
  return known.flatMap((letter, index) => {
    const stress = index === known.length - 1 ? 'ˈ' : 'ˌ';
    return splitPhonemes(NAMES[letter].replace(/[AIOiɛɑuʌ]/, `${stress}$&`));
  });
}
