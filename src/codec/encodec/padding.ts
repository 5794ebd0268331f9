/**
 * Which columns a convolution sees when its input of `length` columns is mirrored at both ends, as torch's reflect padding
 * does; an index of `length` means zero. An input no longer than the padding first gets zeros on its right, which are
 * cut off again (Hugging Face's `_pad1d`).
 */
export function mirroredColumns(length: number, left: number, right: number): Int32Array {
  const largest = Math.max(left, right);
  const extended = length <= largest ? largest + 1 : length;
  return Int32Array.from({ length: left + length + right }, (_, i) => {
    const at = Math.abs(i - left);
    const mirrored = at < extended ? at : 2 * (extended - 1) - at;
    return Math.min(mirrored, length);
  });
}
