/* Packing of matrices, once, when they are loaded. */
#include "layout.h"

INLINE void copy(uint8_t *to, const uint8_t *from, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = from[i];
}

/* Word i of a row's `count` words becomes word ROWS * i + r. */
static void spread(uint8_t *to, const uint8_t *from, int count, int r, int size, uint8_t flip) {
  for (int i = 0; i < count; i++)
    for (int j = 0; j < size; j++) to[(ROWS * i + r) * size + j] = from[i * size + j] ^ flip;
}

/* A block of row r into the block of its sixteen rows. */
static void interleave(int type, const uint8_t *from, int r, uint8_t *to) {
  switch (type) {
    case Q8_0:
      copy(to + 2 * r, from, 2);
      spread(to + 32, from + 2, 8, r, 4, 128);
      break;
    case Q4_0:
      copy(to + 2 * r, from, 2);
      spread(to + 32, from + 2, 4, r, 4, 0);
      break;
    case Q4_K:
      copy(to + 2 * r, from, 2);
      copy(to + 32 + 2 * r, from + 2, 2);
      spread(to + 64, from + 4, 12, r, 1, 0);
      spread(to + 256, from + 16, 32, r, 4, 0);
      break;
    default: spread(to, from, 1, r, 4, 0);
  }
}

/* rows x K as ggml stores them -> interleaved. */
EXPORT void sled_kernels_pack(int type, int64_t K, int64_t rows, const uint8_t *from, uint8_t *to) {
  const type_info *info = info_of(type);
  const int64_t blocks = K / info->block, bytes = info->bytes;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t b = 0; b < blocks; b++) {
      uint8_t *group = to + (row / ROWS) * ROWS * blocks * bytes;
      interleave(type, from + (row * blocks + b) * bytes, (int)(row % ROWS), group + b * ROWS * bytes);
    }
}
