/* The words of scalar_bf16.h for AVX512-BF16: 16 pairs a vector. */
#ifndef FD_SIMD_BF16_H
#define FD_SIMD_BF16_H
#include "simd/avx512.h"

#define FD_BF16_NAME "avx512_bf16"

FD_INLINE vf vf_pairs(vf low, vf high) {
    return (vf)_mm512_cvtne2ps_pbh(high, low); /* the second argument goes to the lower half */
}
FD_INLINE vf vf_zip(vf even, vf odd) {
    const __m512i order = _mm512_set_epi32(
        0x1F000F, 0x1E000E, 0x1D000D, 0x1C000C, 0x1B000B, 0x1A000A, 0x190009, 0x180008, 0x170007,
        0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
    return (vf)_mm512_permutexvar_epi16(order, (__m512i)vf_pairs(even, odd));
}
FD_INLINE vf vf_dot(vf a, vf b, vf c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }

#endif
