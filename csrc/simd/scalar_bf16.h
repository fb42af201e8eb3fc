/* The words of the SIMD vocabulary for products of bf16 numbers, in plain C. This file documents
   them; avx512_bf16.h defines the same names.

   A bf16 number is the upper half of a float32. A pair is two of them in one lane of a vf, the
   first in the lower half. Only vf_zip, vf_pairs and vf_dot know what is in such a lane; all other
   words move its 32 bits.

   Numbers, products and sums behave as the instructions of AVX512-BF16 say (vcvtne2ps2bf16,
   vdpbf16ps): round to nearest even, subnormals are zeros wherever they are read or written,
   whatever the floating-point mode. */
#ifndef FD_SIMD_BF16_H
#define FD_SIMD_BF16_H
#include "simd/scalar.h"

#define FD_BF16_NAME "emulated"
#if defined(__GNUC__)
#define FD_CALLED __attribute__((noinline, unused)) /* or the tiles take 300 KiB instead of 40 */
#else
#define FD_CALLED
#endif

/* A float32 without subnormals. */
FD_INLINE float bf16_flushed(uint32_t bits) {
    return vf_of_bits(bits & 0x7F800000u ? bits : bits & 0x80000000u);
}

FD_INLINE uint32_t bf16_of(float x) {
    const uint32_t u = vu_of_bits(x), magnitude = u & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return u >> 16 | 0x40u; /* NaN stays NaN, and becomes quiet */
    if (magnitude < 0x00800000u) return u >> 16 & 0x8000u;
    return (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;
}

/* c + a * b with one rounding, a and b the bits of float32 numbers. The sum in double is exact, or
   far from a tie: the product has 16 significant bits and c has 24. */
FD_INLINE float bf16_step(uint32_t a, uint32_t b, float c) {
    const double product = (double)bf16_flushed(a) * (double)bf16_flushed(b);
    return bf16_flushed(vu_of_bits((float)(product + (double)c)));
}

/* The pairs (even[i], odd[i]). */
FD_INLINE vf vf_zip(vf even, vf odd) { return vf_of_bits(bf16_of(even) | bf16_of(odd) << 16); }

/* The pairs of 2 FD_VL numbers in a row, of which `low` is the first half. */
FD_INLINE vf vf_pairs(vf low, vf high) { return vf_zip(low, high); }

/* c + the product of the second numbers of the pairs a and b, then + that of the first numbers. */
static FD_CALLED vf vf_dot(vf a, vf b, vf c) {
    const uint32_t x = vu_of_bits(a), y = vu_of_bits(b);
    const float sum = bf16_step(x & 0xFFFF0000u, y & 0xFFFF0000u, bf16_flushed(vu_of_bits(c)));
    return bf16_step(x << 16, y << 16, sum);
}

#endif
