/* The SIMD vocabulary (see scalar.h) for AVX2 with FMA: 8 floats, 4 Philox blocks a vector. */
#ifndef FD_SIMD_H
#define FD_SIMD_H
#include "base/common.h"
#include <immintrin.h>

#define FD_ISA_NAME "avx2"
enum { FD_VL = 8, FD_WL = 4, FD_FLIGHT = 4, FD_MR = 6, FD_NV = 2 };
#define FD_FOR_EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6)

typedef __m256 vf;
typedef __m256i vu;
typedef __m256 vm; /* all bits of a lane set = true */
typedef __m256i vw;
typedef struct {
    __m256i a, b;
} vb;

FD_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
FD_INLINE __m256i vu_first(ptrdiff_t n) { /* lanes < n all ones */
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FD_INLINE vf vf_load_n(const float *p, ptrdiff_t n) { return _mm256_maskload_ps(p, vu_first(n)); }
FD_INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
/* A loop, because vmaskmovps stores are microcoded on AMD Zen. */
FD_INLINE void vf_store_n(float *p, vf v, ptrdiff_t n) {
    float t[8];
    _mm256_storeu_ps(t, v);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
}
FD_INLINE void vf_store_uncached(float *p, vf v) { _mm256_stream_ps(p, v); }
FD_INLINE void vf_uncached_end(void) { _mm_sfence(); }
FD_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
FD_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
FD_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
FD_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
FD_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
FD_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
FD_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
FD_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
FD_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
FD_INLINE vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
FD_INLINE vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
FD_INLINE vm vu_test(__m256i a, __m256i b) {
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(a, b), b));
}
FD_INLINE vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
FD_INLINE vf vf_keep(vm m, vf a) { return _mm256_and_ps(m, a); }
FD_INLINE vm vm_bits(uint32_t w) { /* spread the byte, single out each lane's bit, compare */
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)w), bit), bit));
}

FD_INLINE vu vu_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
FD_INLINE vu vu_load_n(const uint32_t *p, ptrdiff_t n) {
    return _mm256_maskload_epi32((const int *)p, vu_first(n));
}
FD_INLINE void vu_store(uint32_t *p, vu v) { _mm256_storeu_si256((__m256i *)p, v); }
FD_INLINE void vu_store_n(uint32_t *p, vu v, ptrdiff_t n) {
    uint32_t t[8];
    _mm256_storeu_si256((__m256i *)t, v);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
}
FD_INLINE vm vu_eq(vu a, vu b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
FD_INLINE vu vu_select(vm m, vu a, vu b) {
    return _mm256_blendv_epi8(b, a, _mm256_castps_si256(m));
}
FD_INLINE vu vu_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
FD_INLINE vu vu_of_bits(vf a) { return _mm256_castps_si256(a); }
FD_INLINE vf vf_of_bits(vu u) { return _mm256_castsi256_ps(u); }
FD_INLINE vf vf_of_int(vu a) { return _mm256_cvtepi32_ps(a); }
FD_INLINE vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
FD_INLINE vu vu_sub(vu a, vu b) { return _mm256_sub_epi32(a, b); }
FD_INLINE vu vu_and(vu a, vu b) { return _mm256_and_si256(a, b); }
FD_INLINE vu vu_or(vu a, vu b) { return _mm256_or_si256(a, b); }
FD_INLINE vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
#define vu_shl(a, n) _mm256_slli_epi32((a), (n))
#define vu_shr(a, n) _mm256_srli_epi32((a), (n))

FD_INLINE void vf_transpose(vf *r) {
    vf t[8], u[8];
    FD_UNROLL(4)
    for (int i = 0; i < 4; i++) { /* pairs of rows */
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    FD_UNROLL(2)
    for (int i = 0; i < 2; i++) { /* rows 4i..4i+3: columns c and c + 4 of u[4i + c] */
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
    FD_UNROLL(4)
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
        r[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
    }
}
FD_INLINE void vf_load_pairs(const float *p, vf *a, vf *b) {
    /* even lanes to the low half, odd lanes to the high half */
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    vf x = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), even),
       y = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 8), even);
    *a = _mm256_permute2f128_ps(x, y, 0x20);
    *b = _mm256_permute2f128_ps(x, y, 0x31);
}
FD_INLINE void vf_store_pairs(float *p, vf a, vf b) {
    vf lo = _mm256_unpacklo_ps(a, b), hi = _mm256_unpackhi_ps(a, b);
    _mm256_storeu_ps(p, _mm256_permute2f128_ps(lo, hi, 0x20));
    _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(lo, hi, 0x31));
}

FD_INLINE ptrdiff_t vf_store_kept(float *p, vf v, uint32_t w) {
    static const int32_t lanes[16][4] = FD_KEPT_LANES;
    const __m128i lo = _mm_loadu_si128((const __m128i *)lanes[w & 15]),
                  hi = _mm_loadu_si128((const __m128i *)lanes[w >> 4]);
    const ptrdiff_t first = __builtin_popcount(w & 15);
    _mm_storeu_ps(p, _mm_permutevar_ps(_mm256_castps256_ps128(v), lo));
    _mm_storeu_ps(p + first, _mm_permutevar_ps(_mm256_extractf128_ps(v, 1), hi));
    return first + __builtin_popcount(w >> 4);
}

FD_INLINE vf vf_load_spread(const float *p, uint32_t w) {
    static const int32_t lanes[16][4] = FD_SPREAD_LANES;
    const __m128i lo = _mm_loadu_si128((const __m128i *)lanes[w & 15]),
                  hi = _mm_loadu_si128((const __m128i *)lanes[w >> 4]);
    const __m128 first = _mm_loadu_ps(p), second = _mm_loadu_ps(p + __builtin_popcount(w & 15));
    return _mm256_set_m128(_mm_permutevar_ps(second, hi), _mm_permutevar_ps(first, lo));
}

FD_INLINE vw vw_set1(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
FD_INLINE vw vw_load(const uint64_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
FD_INLINE void vw_store(uint64_t *p, vw a) { _mm256_storeu_si256((__m256i *)p, a); }
FD_INLINE vw vw_iota(void) { return _mm256_setr_epi64x(0, 1, 2, 3); }
FD_INLINE vw vw_add(vw a, vw b) { return _mm256_add_epi64(a, b); }
FD_INLINE vw vw_mul(vw a, vw b) { return _mm256_mul_epu32(a, b); }
FD_INLINE vw vw_hi(vw a) { return _mm256_srli_epi64(a, 32); }
FD_INLINE vw vw_xor(vw a, vw b) { return _mm256_xor_si256(a, b); }
FD_INLINE vw vw_xor3(vw a, vw b, vw c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }

FD_INLINE vb vb_pack(vw c0, vw c1, vw c2, vw c3) {
    /* words 0, 1 and words 2, 3 of a block into one 64-bit lane each, then these two lanes side by
       side */
    __m256i x = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA);
    __m256i y = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xAA);
    __m256i lo = _mm256_unpacklo_epi64(x, y),
            hi = _mm256_unpackhi_epi64(x, y); /* blocks 0, 2 and 1, 3 */
    vb v = {_mm256_permute2x128_si256(lo, hi, 0x20), _mm256_permute2x128_si256(lo, hi, 0x31)};
    return v;
}
FD_INLINE vb vb_fill(uint32_t w) {
    vb v = {vu_set1(w), vu_set1(w)};
    return v;
}
FD_INLINE vb vb_and(vb x, vb y) {
    vb v = {vu_and(x.a, y.a), vu_and(x.b, y.b)};
    return v;
}
FD_INLINE vb vb_or(vb x, vb y) {
    vb v = {vu_or(x.a, y.a), vu_or(x.b, y.b)};
    return v;
}
FD_INLINE vb vb_andnot(vb x, vb y) {
    vb v = {_mm256_andnot_si256(x.a, y.a), _mm256_andnot_si256(x.b, y.b)};
    return v;
}
FD_INLINE int vb_any(vb x) {
    __m256i o = vu_or(x.a, x.b);
    return !_mm256_testz_si256(o, o);
}
FD_INLINE vb vb_load(const uint32_t *p) {
    vb v = {vu_load(p), vu_load(p + 8)};
    return v;
}
FD_INLINE void vb_store(uint32_t *p, vb v) {
    _mm256_storeu_si256((__m256i *)p, v.a);
    _mm256_storeu_si256((__m256i *)(p + 8), v.b);
}

#endif
