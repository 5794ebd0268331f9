/* What is asked of Linux on x64 without its C library. */
#ifndef SLED_SYSTEM_H
#define SLED_SYSTEM_H

#include "kernels.h"

enum { SET_SCHEDULER = 144, FUTEX = 202 };
enum { BATCH = 3, IDLE = 5 }; /* SCHED_ */

INLINE long system_call(long number, const void *a, long b, const void *c, const void *d) {
  register const void *fourth __asm__("r10") = d;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
  return result;
}

/* How the system shares the processors out to this thread from now on. */
INLINE void set_scheduling(int policy) {
  const int priority = 0;
  system_call(SET_SCHEDULER, NULL, policy, &priority, NULL);
}

#endif
