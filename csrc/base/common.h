/* Compiler macros and integer helpers that every C file uses. Sizes are ptrdiff_t and count
   elements, unless a name says bytes. */
#ifndef FD_BASE_COMMON_H
#define FD_BASE_COMMON_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define FD_INLINE static inline __attribute__((always_inline, unused))
#define FD_UNROLL_(x) _Pragma(#x)
#define FD_UNROLL(n) FD_UNROLL_(GCC unroll n)
#define FD_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#define FD_PREFETCH_WRITE(p) __builtin_prefetch((p), 1, 3)
#else
#define FD_INLINE static inline
#define FD_UNROLL(n)
#define FD_PREFETCH(p) ((void)(p))
#define FD_PREFETCH_WRITE(p) ((void)(p))
#endif

#define FD_CACHE_LINE 64 /* bytes */

/* For each number below 16, the positions of its set bits in order, then zeros: the permutation
   that moves the lanes of a vector of four whose bit is set to the front. */
#define FD_KEPT_LANES                                                                              \
    {{0, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {2, 0, 0, 0}, {0, 2, 0, 0},           \
     {1, 2, 0, 0}, {0, 1, 2, 0}, {3, 0, 0, 0}, {0, 3, 0, 0}, {1, 3, 0, 0}, {0, 1, 3, 0},           \
     {2, 3, 0, 0}, {0, 2, 3, 0}, {1, 2, 3, 0}, {0, 1, 2, 3}}

/* The way back: for each lane, how many bits below it are set. */
#define FD_SPREAD_LANES                                                                            \
    {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 0, 1, 1}, {0, 1, 2, 2}, {0, 0, 0, 1}, {0, 1, 1, 2},           \
     {0, 0, 1, 2}, {0, 1, 2, 3}, {0, 0, 0, 0}, {0, 1, 1, 1}, {0, 0, 1, 1}, {0, 1, 2, 2},           \
     {0, 0, 0, 1}, {0, 1, 1, 2}, {0, 0, 1, 2}, {0, 1, 2, 3}}

FD_INLINE ptrdiff_t fd_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
FD_INLINE ptrdiff_t fd_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
FD_INLINE ptrdiff_t fd_ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
FD_INLINE ptrdiff_t fd_round_up(ptrdiff_t a, ptrdiff_t b) { return fd_ceil_div(a, b) * b; }

/* Where part t begins when n elements are cut into `pieces` nearly equal parts, each beginning at a
   multiple of `unit`. Part t is [fd_cut(.., t, ..), fd_cut(.., t + 1, ..)), and may be empty. */
FD_INLINE ptrdiff_t fd_cut(ptrdiff_t n, ptrdiff_t pieces, ptrdiff_t t, ptrdiff_t unit) {
    return fd_min(n, fd_ceil_div(n, unit) * t / pieces * unit);
}

#endif
