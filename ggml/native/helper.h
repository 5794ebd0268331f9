/*
 * A thread that helps the one that computes, and is never waited for.
 *
 * One processor has only so many reads of memory under way, and two read more than one. But threads that wait for each other wait for
 * whatever else has a processor. So work comes in parts; whoever is free takes the next; and a part that the helper has begun and
 * not finished when it is due is computed again by the thread that needs it. The helper writes to memory of its own alone, and has the
 * priority of an idle processor, so that it takes nothing from anybody.
 */
#ifndef SLED_HELPER_H
#define SLED_HELPER_H

#include "layout.h"

#define MOST_PARTS 64
#define HELPED_RESULTS (2 << 20)

/* A result of `columns` columns, `stride` bytes apart in memory; a part is a run of bytes of each of them. */
typedef struct {
  /*
   * Writes part i of what `of` says, its first column to `to`. A part that nobody waits for any longer may read numbers of other work: sizes
   * and pointers are in `of`, and the memory that they point to is given back when the helper has let go of it.
   */
  void (*part)(const void *of, int i, char *to, size_t stride);
  int parts;
  int columns;
  size_t run;   /* bytes of a part of a column */
  size_t whole; /* bytes of a column; the last part may be shorter */
  char *to;
  size_t stride;
  _Alignas(64) char of[256];
} work;

/* Room for what parts read, SCRATCH bytes, and with it the helper; NULL where there is none or it has other work. */
void *helper_room(void);

/* Computes all parts of `w` together with the helper, whose room the caller has. */
void compute_helped(const work *w);

/* Gives the helper and its room back. */
void leave_helper(void);

#endif
