/* The SIMD vocabulary (see scalar.h) for NEON on AArch64: 4 floats, 2 Philox blocks a vector. */
#ifndef FD_SIMD_H
#define FD_SIMD_H
#include "base/common.h"
#include <arm_neon.h>

#define FD_ISA_NAME "neon"
enum { FD_VL = 4, FD_WL = 2, FD_FLIGHT = 4, FD_MR = 8, FD_NV = 3 };
#define FD_FOR_EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

typedef float32x4_t vf;
typedef uint32x4_t vu;
typedef uint32x4_t vm; /* all bits of a lane set = true */
typedef uint64x2_t vw;
typedef struct {
    uint32x4_t a, b;
} vb;

FD_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
FD_INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
FD_INLINE vf vf_load_n(const float *p, ptrdiff_t n) {
    float t[4] = {0, 0, 0, 0};
    for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
    return vld1q_f32(t);
}
FD_INLINE void vf_store_n(float *p, vf v, ptrdiff_t n) {
    float t[4];
    vst1q_f32(t, v);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
}
FD_INLINE void vf_store_uncached(float *p, vf v) { vst1q_f32(p, v); }
FD_INLINE void vf_uncached_end(void) {}
FD_INLINE vf vf_set1(float x) { return vdupq_n_f32(x); }
FD_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
FD_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
FD_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
FD_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
FD_INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
FD_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
FD_INLINE vm vf_gt(vf a, vf b) { return vcgtq_f32(a, b); }
FD_INLINE vm vf_le(vf a, vf b) { return vcleq_f32(a, b); }
FD_INLINE vm vu_test(uint32x4_t a, uint32x4_t b) { return vtstq_u32(a, b); }
FD_INLINE vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
/* Not vminq_f32 and vmaxq_f32: b when either is NaN, as on x86. */
FD_INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
FD_INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
FD_INLINE vf vf_keep(vm m, vf a) {
    return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a)));
}
FD_INLINE vm vm_bits(uint32_t w) {
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(w), vld1q_u32(bit));
}

FD_INLINE vu vu_load(const uint32_t *p) { return vld1q_u32(p); }
FD_INLINE vu vu_load_n(const uint32_t *p, ptrdiff_t n) {
    uint32_t t[4] = {0, 0, 0, 0};
    for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
    return vld1q_u32(t);
}
FD_INLINE void vu_store(uint32_t *p, vu v) { vst1q_u32(p, v); }
FD_INLINE void vu_store_n(uint32_t *p, vu v, ptrdiff_t n) {
    uint32_t t[4];
    vst1q_u32(t, v);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
}
FD_INLINE vm vu_eq(vu a, vu b) { return vceqq_u32(a, b); }
FD_INLINE vu vu_select(vm m, vu a, vu b) { return vbslq_u32(m, a, b); }
FD_INLINE vu vu_set1(uint32_t x) { return vdupq_n_u32(x); }
FD_INLINE vu vu_of_bits(vf a) { return vreinterpretq_u32_f32(a); }
FD_INLINE vf vf_of_bits(vu u) { return vreinterpretq_f32_u32(u); }
FD_INLINE vf vf_of_int(vu a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
FD_INLINE vu vu_add(vu a, vu b) { return vaddq_u32(a, b); }
FD_INLINE vu vu_sub(vu a, vu b) { return vsubq_u32(a, b); }
FD_INLINE vu vu_and(vu a, vu b) { return vandq_u32(a, b); }
FD_INLINE vu vu_or(vu a, vu b) { return vorrq_u32(a, b); }
FD_INLINE vu vu_xor(vu a, vu b) { return veorq_u32(a, b); }
#define vu_shl(a, n) vshlq_n_u32((a), (n))
#define vu_shr(a, n) vshrq_n_u32((a), (n))

FD_INLINE void vf_transpose(vf *r) {
    float32x4x2_t p = vtrnq_f32(r[0], r[1]), q = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0]));
    r[1] = vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1]));
    r[2] = vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0]));
    r[3] = vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1]));
}
FD_INLINE void vf_load_pairs(const float *p, vf *a, vf *b) {
    float32x4x2_t v = vld2q_f32(p);
    *a = v.val[0];
    *b = v.val[1];
}
FD_INLINE void vf_store_pairs(float *p, vf a, vf b) {
    float32x4x2_t v = {{a, b}};
    vst2q_f32(p, v);
}

FD_INLINE ptrdiff_t vf_store_kept(float *p, vf v, uint32_t w) {
    static const uint32_t lanes[16][4] = FD_KEPT_LANES;
    /* the byte indices of these lanes: 4 * lane + 0, 1, 2, 3 */
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), vld1q_u32(lanes[w]), 0x04040404);
    vst1q_f32(
        p, vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), vreinterpretq_u8_u32(bytes))));
    return __builtin_popcount(w);
}

FD_INLINE vf vf_load_spread(const float *p, uint32_t w) {
    static const uint32_t lanes[16][4] = FD_SPREAD_LANES;
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), vld1q_u32(lanes[w]), 0x04040404);
    return vreinterpretq_f32_u8(
        vqtbl1q_u8(vreinterpretq_u8_f32(vld1q_f32(p)), vreinterpretq_u8_u32(bytes)));
}

FD_INLINE vw vw_set1(uint64_t x) { return vdupq_n_u64(x); }
FD_INLINE vw vw_load(const uint64_t *p) { return vld1q_u64(p); }
FD_INLINE void vw_store(uint64_t *p, vw a) { vst1q_u64(p, a); }
FD_INLINE vw vw_iota(void) { return vcombine_u64(vcreate_u64(0), vcreate_u64(1)); }
FD_INLINE vw vw_add(vw a, vw b) { return vaddq_u64(a, b); }
FD_INLINE vw vw_mul(vw a, vw b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
FD_INLINE vw vw_hi(vw a) { return vshrq_n_u64(a, 32); }
FD_INLINE vw vw_xor(vw a, vw b) { return veorq_u64(a, b); }
FD_INLINE vw vw_xor3(vw a, vw b, vw c) { return veorq_u64(veorq_u64(a, b), c); }

FD_INLINE vb vb_pack(vw c0, vw c1, vw c2, vw c3) {
    /* narrowed to the low halves, then zipped: words (c0, c1) and (c2, c3) of block 0, of block 1
     */
    uint32x2x2_t p = vzip_u32(vmovn_u64(c0), vmovn_u64(c1)),
                 q = vzip_u32(vmovn_u64(c2), vmovn_u64(c3));
    vb v = {vcombine_u32(p.val[0], q.val[0]), vcombine_u32(p.val[1], q.val[1])};
    return v;
}
FD_INLINE vb vb_fill(uint32_t w) {
    vb v = {vdupq_n_u32(w), vdupq_n_u32(w)};
    return v;
}
FD_INLINE vb vb_and(vb x, vb y) {
    vb v = {vandq_u32(x.a, y.a), vandq_u32(x.b, y.b)};
    return v;
}
FD_INLINE vb vb_or(vb x, vb y) {
    vb v = {vorrq_u32(x.a, y.a), vorrq_u32(x.b, y.b)};
    return v;
}
FD_INLINE vb vb_andnot(vb x, vb y) {
    vb v = {vbicq_u32(y.a, x.a), vbicq_u32(y.b, x.b)};
    return v;
}
FD_INLINE int vb_any(vb x) { return vmaxvq_u32(vorrq_u32(x.a, x.b)) != 0; }
FD_INLINE vb vb_load(const uint32_t *p) {
    vb v = {vld1q_u32(p), vld1q_u32(p + 4)};
    return v;
}
FD_INLINE void vb_store(uint32_t *p, vb v) {
    vst1q_u32(p, v.a);
    vst1q_u32(p + 4, v.b);
}

#endif
