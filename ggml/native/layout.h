/*
 * How matrices are interleaved: sixteen rows lie side by side, a 32-bit word of each in turn. Packing only moves a matrix's bytes (and
 * turns the sign bit of q8_0's), so that its size stays what ggml says.
 *
 * Per sixteen rows, blocks follow each other:
 *   f32    1 column:    sixteen floats
 *   bf16   2 columns:   sixteen pairs
 *   q8_0   32 columns:  sixteen f16 scales, 8 vectors
 *   q4_0   32 columns:  sixteen f16 scales, 4 vectors of a low and a high half
 *   q4_K   256 columns: sixteen f16 scales, sixteen f16 minima's scales, 12 x 16 bytes of scales, 32 vectors
 */
#ifndef SLED_LAYOUT_H
#define SLED_LAYOUT_H

#include "kernels.h"

#define ROWS 16

enum type { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, Q4_K = 12, BF16 = 30 }; /* enum ggml_type */

typedef struct {
  int32_t block; /* columns */
  int32_t bytes; /* of a block of one row */
} type_info;

INLINE const type_info *info_of(int type) {
  static const type_info f32 = {1, 4}, bf16 = {2, 4}, q8_0 = {32, 34}, q4_0 = {32, 18}, q4_K = {256, 144};
  switch (type) {
    case F32: return &f32;
    case BF16: return &bf16;
    case Q8_0: return &q8_0;
    case Q4_0: return &q4_0;
    case Q4_K: return &q4_K;
    default: return NULL;
  }
}

/* Room for x as the kernels read it, on the stack of the thread that computes. */
#define SCRATCH (384 * 1024)

/* Bytes that a column takes as its kernel reads it, in whole cache lines. */
INLINE size_t column_bytes(int type, int K) {
  size_t bytes = type == F32 ? 0 : type == BF16 ? 2 * (size_t)K : (size_t)K + (size_t)(K / 32) * 8;
  return (bytes + 63) & ~(size_t)63;
}

#endif
