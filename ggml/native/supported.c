/* Compiled for any processor, unlike the kernels. */
#include "kernels.h"

static enum instructions used = NONE;

enum instructions instructions_used(void) { return used; }

static enum instructions best(void) {
  __builtin_cpu_init();
#define HAS(name) __builtin_cpu_supports(name)
  if (!(HAS("avx2") && HAS("fma") && HAS("f16c"))) return NONE;
  if (!(HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl") && HAS("avx512vnni"))) return AVX2;
  return HAS("avx512bf16") ? AVX512_BF16 : AVX512;
}

/* Looks what the processor has, up to `most`, for all kernels from then on: 0 where it has nothing that they are written for. */
EXPORT int sled_kernels_supported(int most) {
  const enum instructions there = best();
  used = (int)there < most ? there : (enum instructions)most;
  return used;
}
