#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "this header needs C++17: -std=c++17 or later"
#endif
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "this header is only right, and fast as well, without -ffast-math and its parts"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "this header needs float arithmetic in float: on 32-bit x86 -msse2 -mfpmath=sse"
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__GNUC__) && !defined(NALU_EXPORT_NO_SIMD)
#define NALU_EXPORT_SIMD
#if defined(__SSE2__)
#include <immintrin.h>
#define NALU_EXPORT_X86
#endif
#endif
#if defined(__GNUC__)
#define NALU_EXPORT_INLINE inline __attribute__((always_inline))
#define NALU_EXPORT_NOINLINE inline __attribute__((noinline))
#elif defined(_MSC_VER)
#define NALU_EXPORT_INLINE __forceinline
#define NALU_EXPORT_NOINLINE inline
#else
#define NALU_EXPORT_INLINE inline
#define NALU_EXPORT_NOINLINE inline
#endif
// A long function of a vector: code that is repeated for every lane is better called.
#if defined(NALU_EXPORT_SIMD)
#define NALU_EXPORT_LONG NALU_EXPORT_INLINE
#else
#define NALU_EXPORT_LONG NALU_EXPORT_NOINLINE
#endif
// Loops that are written out, so that their arrays become registers, and loops that stay loops.
#if !defined(NALU_EXPORT_SIMD)
#define NALU_EXPORT_UNROLL
#define NALU_EXPORT_LOOP
#elif defined(__clang__)
#define NALU_EXPORT_UNROLL _Pragma("unroll")
#define NALU_EXPORT_LOOP _Pragma("nounroll")
#else
#define NALU_EXPORT_UNROLL _Pragma("GCC unroll 32")
#define NALU_EXPORT_LOOP _Pragma("GCC unroll 1")
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMAF) || defined(__riscv_flen)
#define NALU_EXPORT_FMA
#endif
// Bytes of a vector, and outputs that are summed up at once.
#if defined(NALU_EXPORT_SIMD) && defined(__AVX512F__)
#define NALU_EXPORT_BYTES 64
#define NALU_EXPORT_ROWS 8
#elif defined(NALU_EXPORT_SIMD) && defined(__AVX__)
#define NALU_EXPORT_BYTES 32
#define NALU_EXPORT_ROWS 4
#else
#define NALU_EXPORT_BYTES 16
#define NALU_EXPORT_ROWS 4
#endif
// Part of every name that is linked, so that what was compiled for one instruction set, or from another model, is never
// taken for this.
#define NALU_EXPORT_PASTE(A, B, C) A##B##C
#define NALU_EXPORT_JOIN(A, B, C) NALU_EXPORT_PASTE(A, B, C)
#if defined(__AVX512VL__)
#define NALU_EXPORT_SET avx512vl
#elif defined(__AVX512F__)
#define NALU_EXPORT_SET avx512
#elif defined(__AVX2__)
#define NALU_EXPORT_SET avx2
#elif defined(__AVX__)
#define NALU_EXPORT_SET avx
#elif defined(__SSE4_1__)
#define NALU_EXPORT_SET sse4
#else
#define NALU_EXPORT_SET common
#endif
#ifdef NALU_EXPORT_SIMD
#define NALU_EXPORT_HELD _vectors
#else
#define NALU_EXPORT_HELD _arrays
#endif
#ifdef NALU_EXPORT_FMA
#define NALU_EXPORT_TARGET NALU_EXPORT_JOIN(NALU_EXPORT_SET, NALU_EXPORT_HELD, _fma)
#else
#define NALU_EXPORT_TARGET NALU_EXPORT_JOIN(NALU_EXPORT_SET, NALU_EXPORT_HELD, _mul)
#endif
