#include "helper.h"

#include <immintrin.h>
#include <stdatomic.h>

#include "system.h"

/* Ticks that it looks for work before it sleeps: some 50 microseconds, longer than between two products and shorter than between frames. */
#define AWAKE (1 << 17)

enum { WAIT = 128, WAKE = 129 }; /* FUTEX_, for the threads of this process */

static struct {
  /*
   * A generation, and of its parts those up to which each half is taken: who computes goes through the first half, the helper through the
   * second, so that both read on where they were, and then each through what is left of the other's.
   */
  _Alignas(64) _Atomic uint64_t claims;
  _Alignas(64) _Atomic uint32_t asleep;
  _Atomic uint32_t visits; /* odd while the helper computes */
  _Atomic uint32_t done[MOST_PARTS]; /* the generation in which the helper last finished this part */
  _Alignas(64) _Atomic int taken;
  _Atomic int wanted, started;
  uint32_t generation;
  work now;
} team;
static _Alignas(64) char room[SCRATCH], results[HELPED_RESULTS];

enum { FIRST = 0, SECOND = 8 }; /* halves, by their place in claims */
INLINE int taken_of(uint64_t claims, int half) { return (int)(claims >> half & 0xff); }
INLINE int end_of(uint64_t claims, int half) { return (int)(claims >> (half + 16) & 0xff); }
/* Nothing is taken. */
INLINE uint64_t claims_of(uint32_t generation, int parts) {
  const int middle = (parts + 1) / 2;
  return (uint64_t)generation << 32 | (uint64_t)parts << 24 | (uint64_t)middle << 16 | (uint64_t)middle << 8;
}
INLINE uint32_t generation_of(uint64_t claims) { return (uint32_t)(claims >> 32); }
INLINE int left_of(uint64_t claims, int half) { return end_of(claims, half) - taken_of(claims, half); }
INLINE int is_open(uint64_t claims) { return left_of(claims, FIRST) + left_of(claims, SECOND) > 0; }

/* Parts from `first` up to `end`. */
typedef struct {
  int first, end;
} span;

/*
 * Takes half of what is left of one half, or else of the other: to take costs a hundred nanoseconds, and what the last one to finish
 * has taken too much keeps the other waiting. Nothing where nothing is left of this generation.
 */
static span take(uint32_t generation, int own, int other) {
  uint64_t claims = atomic_load(&team.claims);
  while (generation_of(claims) == generation && is_open(claims)) {
    const int half = left_of(claims, own) ? own : other, first = taken_of(claims, half), count = (left_of(claims, half) + 1) / 2;
    if (atomic_compare_exchange_weak(&team.claims, &claims, claims + ((uint64_t)count << half))) return (span){first, first + count};
  }
  return (span){0, 0};
}

/* Until work comes; whether some came while it looked. */
static int look_for_work(void) {
  const uint64_t since = __rdtsc();
  do {
    if (is_open(atomic_load(&team.claims))) return 1;
    _mm_pause();
  } while (__rdtsc() - since < AWAKE);
  atomic_store(&team.asleep, 1);
  if (!is_open(atomic_load(&team.claims))) system_call(FUTEX, &team.asleep, WAIT, (const void *)1, NULL);
  atomic_store(&team.asleep, 0);
  return 0;
}

/* The helper's life. It is pthread_create()'s start routine. */
EXPORT void *sled_kernels_help(void *unused) {
  set_scheduling(IDLE);
  for (;;) {
    if (!look_for_work()) continue;
    const uint32_t generation = generation_of(atomic_load(&team.claims));
    /* A copy may be torn by the next work; then nothing is left to take of this generation. */
    const work mine = team.now;
    atomic_fetch_add(&team.visits, 1);
    for (span s; s = take(generation, SECOND, FIRST), s.first < s.end;)
      for (int i = s.first; i < s.end; i++) {
        mine.part(mine.of, i, results + (size_t)i * mine.columns * mine.run, mine.run);
        atomic_store(&team.done[i], generation);
      }
    atomic_fetch_add(&team.visits, 1);
  }
  return unused;
}

/* 1 for the first who asks: a process has one helper, whatever its threads of JavaScript load. */
EXPORT int sled_kernels_helper_wanted(void) { return !atomic_exchange(&team.wanted, 1); }

/* After pthread_create(). */
EXPORT void sled_kernels_helper_started(void) { atomic_store(&team.started, 1); }

/* Odd while the helper computes, and another number each time: until it changes, memory that was read is not to be given back. */
EXPORT int sled_kernels_helper_visits(void) { return (int)(atomic_load(&team.visits) & 0x7fffffff); }

void *helper_room(void) {
  int free = 0;
  if (!atomic_load(&team.started)) return NULL;
  return atomic_compare_exchange_strong(&team.taken, &free, 1) ? room : NULL;
}

/* Whether the helper finished part i by the deadline. */
static int is_done(int i, uint64_t deadline) {
  while (atomic_load(&team.done[i]) != team.generation) {
    if (__rdtsc() > deadline) return 0;
    _mm_pause();
  }
  return 1;
}

static void copy_part(const work *w, int i, char *to) {
  const size_t left = w->whole - i * w->run, run = left < w->run ? left : w->run;
  const char *from = results + (size_t)i * w->columns * w->run;
  for (int c = 0; c < w->columns; c++)
    for (size_t j = 0; j < run; j += sizeof(float))
      *(float *)(to + c * w->stride + j) = *(const float *)(from + c * w->run + j);
}

void compute_helped(const work *w) {
  team.now = *w;
  const uint32_t generation = ++team.generation;
  const uint64_t begin = __rdtsc();
  atomic_store(&team.claims, claims_of(generation, w->parts));
  if (atomic_load(&team.asleep)) {
    atomic_store(&team.asleep, 0);
    system_call(FUTEX, &team.asleep, WAKE, (const void *)1, NULL);
  }
  uint64_t own = 0;
  for (span s; s = take(generation, FIRST, SECOND), s.first < s.end;)
    for (int i = s.first; i < s.end; i++) {
      w->part(w->of, i, w->to + i * w->run, w->stride);
      own |= 1ull << i;
    }
  /* The helper has begun the rest, and is given the time that it takes, and that of one part more. */
  int rest = 1;
  for (int i = 0; i < w->parts; i++) rest += !(own >> i & 1) && atomic_load(&team.done[i]) != generation;
  const uint64_t now = __rdtsc(), own_parts = __builtin_popcountll(own);
  const uint64_t deadline = now + rest * (now - begin) / (own_parts ? own_parts : 1);
  for (int i = 0; i < w->parts; i++) {
    if (own >> i & 1) continue;
    char *to = w->to + i * w->run;
    if (is_done(i, deadline)) copy_part(w, i, to);
    else w->part(w->of, i, to, w->stride);
  }
}

void leave_helper(void) { atomic_store(&team.taken, 0); }
