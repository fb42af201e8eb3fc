/* The SIMD vocabulary in plain C: one lane a vector. This file documents the types and functions;
   avx2.h, avx512.h and neon.h define the same names for wider vectors. Kernel bodies
   (kernels/<name>.inc) use these names only.

   Only vf_fma contracts a * b + c to one rounding (not here: plain C has no FMA, so it rounds
   twice). The elementwise kernels do not use it, and give the same bits with every vocabulary.

   vf  FD_VL float32 lanes
   vu  the same lanes as uint32
   vm  a truth value for each lane
   vw  FD_WL lanes of 64 bits for Philox; the high halves may hold anything where a function reads
       only the low halves
   vb  FD_WL blocks of 128 random bits, in the order of packed keep bits */
#ifndef FD_SIMD_H
#define FD_SIMD_H
#include "base/common.h"
#include <math.h>

#define FD_ISA_NAME "scalar"
enum {
    FD_VL = 1,     /* floats in a vector */
    FD_WL = 1,     /* Philox blocks in a vector */
    FD_FLIGHT = 2, /* vectors of blocks computed side by side: hides the multiply latency */
    FD_MR = 4,     /* register tile of the matrix product: FD_MR rows of C .. */
    FD_NV = 4      /* .. by FD_NV vectors */
};
#define FD_FOR_EACH_MR(X) X(1) X(2) X(3) X(4)

typedef float vf;
typedef uint32_t vu;
typedef uint32_t vm; /* 0 or 1 */
typedef uint64_t vw;
typedef struct {
    uint64_t a, b;
} vb;

/* float lanes; _n touches only the first n lanes in memory (0 <= n <= FD_VL), the rest read as 0 */
FD_INLINE vf vf_load(const float *p) { return *p; }
FD_INLINE vf vf_load_n(const float *p, ptrdiff_t n) { return n ? *p : 0.0f; }
FD_INLINE void vf_store(float *p, vf v) { *p = v; }
FD_INLINE void vf_store_n(float *p, vf v, ptrdiff_t n) {
    if (n) *p = v;
}
FD_INLINE void vf_store_uncached(float *p, vf v) { *p = v; } /* past the caches; p aligned */
FD_INLINE void vf_uncached_end(void) {} /* fence after the last vf_store_uncached */
FD_INLINE vf vf_set1(float x) { return x; }
FD_INLINE vf vf_add(vf a, vf b) { return a + b; }
FD_INLINE vf vf_sub(vf a, vf b) { return a - b; }
FD_INLINE vf vf_mul(vf a, vf b) { return a * b; }
FD_INLINE vf vf_div(vf a, vf b) { return a / b; }
FD_INLINE vf vf_sqrt(vf a) { return sqrtf(a); }
/* a * b + c with one rounding where the hardware has it */
FD_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
FD_INLINE vf vf_min(vf a, vf b) { return a < b ? a : b; } /* b when either is NaN */
FD_INLINE vf vf_max(vf a, vf b) { return a > b ? a : b; } /* b when either is NaN */
FD_INLINE vm vf_gt(vf a, vf b) { return a > b; }          /* false with NaN */
FD_INLINE vm vf_le(vf a, vf b) { return a <= b; }         /* false with NaN */
FD_INLINE vm vu_test(vu a, vu b) { return (a & b) != 0; } /* b has one bit in each lane */
FD_INLINE vf vf_select(vm m, vf a, vf b) { return m ? a : b; }
FD_INLINE vf vf_keep(vm m, vf a) { return m ? a : 0.0f; } /* +0 where m is false */
FD_INLINE vm vm_bits(uint32_t w) { return w & 1u; } /* lane i is true when bit i of w is set */

/* the same lanes as integers */
FD_INLINE vu vu_load(const uint32_t *p) { return *p; }
FD_INLINE vu vu_load_n(const uint32_t *p, ptrdiff_t n) { return n ? *p : 0; }
FD_INLINE void vu_store(uint32_t *p, vu v) { *p = v; }
FD_INLINE void vu_store_n(uint32_t *p, vu v, ptrdiff_t n) {
    if (n) *p = v;
}
FD_INLINE vm vu_eq(vu a, vu b) { return a == b; }
FD_INLINE vu vu_select(vm m, vu a, vu b) { return m ? a : b; }
FD_INLINE vu vu_set1(uint32_t x) { return x; }
FD_INLINE vu vu_of_bits(vf a) {
    vu u;
    memcpy(&u, &a, 4);
    return u;
}
FD_INLINE vf vf_of_bits(vu u) {
    vf a;
    memcpy(&a, &u, 4);
    return a;
}
FD_INLINE vf vf_of_int(vu a) { return (float)(int32_t)a; } /* signed to float */
FD_INLINE vu vu_add(vu a, vu b) { return a + b; }
FD_INLINE vu vu_sub(vu a, vu b) { return a - b; }
FD_INLINE vu vu_and(vu a, vu b) { return a & b; }
FD_INLINE vu vu_or(vu a, vu b) { return a | b; }
FD_INLINE vu vu_xor(vu a, vu b) { return a ^ b; }
#define vu_shl(a, n) ((vu)((a) << (n)))
#define vu_shr(a, n) ((vu)((a) >> (n)))

/* transposes the FD_VL x FD_VL matrix whose rows are r[0..FD_VL) */
FD_INLINE void vf_transpose(vf *r) { (void)r; }

/* Stores the lanes whose bit of w is set, one after the other. Returns how many; may write up to
   FD_VL floats from p on. Bits of w above FD_VL must be 0. */
FD_INLINE ptrdiff_t vf_store_kept(float *p, vf v, uint32_t w) {
    *p = v;
    return (ptrdiff_t)w;
}

/* The way back: the lanes whose bit of w is set get p[0], p[1], .. in order, the others any number.
   Reads FD_VL floats. */
FD_INLINE vf vf_load_spread(const float *p, uint32_t w) {
    (void)w;
    return *p;
}

/* de-interleaving load of 2*FD_VL floats: a = elements 0, 2, 4, .., b = elements 1, 3, 5, .. */
FD_INLINE void vf_load_pairs(const float *p, vf *a, vf *b) {
    *a = p[0];
    *b = p[1];
}
FD_INLINE void vf_store_pairs(float *p, vf a, vf b) {
    p[0] = a;
    p[1] = b;
}

/* Philox lanes */
FD_INLINE vw vw_set1(uint64_t x) { return x; }
FD_INLINE vw vw_load(const uint64_t *p) { return *p; }
FD_INLINE void vw_store(uint64_t *p, vw a) { *p = a; }
FD_INLINE vw vw_iota(void) { return 0; } /* 0, 1, 2, .. */
FD_INLINE vw vw_add(vw a, vw b) { return a + b; }
/* the 64-bit product of the low halves */
FD_INLINE vw vw_mul(vw a, vw b) { return (uint64_t)(uint32_t)a * (uint32_t)b; }
FD_INLINE vw vw_hi(vw a) { return a >> 32; }
FD_INLINE vw vw_xor(vw a, vw b) { return a ^ b; }
FD_INLINE vw vw_xor3(vw a, vw b, vw c) { return a ^ b ^ c; }

/* blocks whose words 0..3 are the low halves of c0..c3 */
FD_INLINE vb vb_pack(vw c0, vw c1, vw c2, vw c3) {
    vb v = {(uint32_t)c0 | c1 << 32, (uint32_t)c2 | c3 << 32};
    return v;
}
FD_INLINE vb vb_fill(uint32_t w) { /* every word w */
    vb v = {w | (uint64_t)w << 32, w | (uint64_t)w << 32};
    return v;
}
FD_INLINE vb vb_and(vb x, vb y) {
    vb v = {x.a & y.a, x.b & y.b};
    return v;
}
FD_INLINE vb vb_or(vb x, vb y) {
    vb v = {x.a | y.a, x.b | y.b};
    return v;
}
FD_INLINE vb vb_andnot(vb x, vb y) { /* ~x & y */
    vb v = {~x.a & y.a, ~x.b & y.b};
    return v;
}
FD_INLINE int vb_any(vb x) { return (x.a | x.b) != 0; }
FD_INLINE vb vb_load(const uint32_t *p) {
    vb v;
    memcpy(&v, p, 16);
    return v;
}
FD_INLINE void vb_store(uint32_t *p, vb v) { memcpy(p, &v, 16); }

#endif
