// One vector of float32 in the widest instruction set that this is compiled for: AVX-512, or AVX2 with FMA. Without
// either there is no FLOOR_ISA.
#pragma once

#include <cstddef>

#if defined(__AVX512F__)
#define FLOOR_ISA "AVX-512"
#include <immintrin.h>
namespace vectors {

using V = __m512;
constexpr std::size_t lanes = 16;
// Registers for sums: 16 of 32, because the others hold what is multiplied.
constexpr std::size_t rows = 8, across = 2;

inline V load(const float* from) { return _mm512_load_ps(from); }
inline void store(float* to, V value) { _mm512_store_ps(to, value); }
inline V splat(float value) { return _mm512_set1_ps(value); }
inline V sub(V a, V b) { return _mm512_sub_ps(a, b); }
inline V mul(V a, V b) { return _mm512_mul_ps(a, b); }
inline V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }   // a b + c
inline V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); } // c - a b

/// value times 2 to the integer in the low bits of n.
inline V times_power(V value, V n) {
    const auto shifted = _mm512_slli_epi32(_mm512_castps_si512(n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), shifted));
}

/// x = m 2^e with m from 2/3 to 4/3.
inline void split(V x, V& m, V& e) {
    const auto bits = _mm512_castps_si512(x);
    const auto power = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f2aaaab)), 23);
    m = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(power, 23)));
    e = _mm512_cvtepi32_ps(power);
}

}  // namespace vectors

#elif defined(__AVX2__) && defined(__FMA__)
#define FLOOR_ISA "AVX2"
#include <immintrin.h>
namespace vectors {

using V = __m256;
constexpr std::size_t lanes = 8;
// Registers for sums: 12 of 16, because the others hold what is multiplied.
constexpr std::size_t rows = 6, across = 2;

inline V load(const float* from) { return _mm256_load_ps(from); }
inline void store(float* to, V value) { _mm256_store_ps(to, value); }
inline V splat(float value) { return _mm256_set1_ps(value); }
inline V sub(V a, V b) { return _mm256_sub_ps(a, b); }
inline V mul(V a, V b) { return _mm256_mul_ps(a, b); }
inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }   // a b + c
inline V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); } // c - a b

/// value times 2 to the integer in the low bits of n.
inline V times_power(V value, V n) {
    const auto shifted = _mm256_slli_epi32(_mm256_castps_si256(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), shifted));
}

/// x = m 2^e with m from 2/3 to 4/3.
inline void split(V x, V& m, V& e) {
    const auto bits = _mm256_castps_si256(x);
    const auto power = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f2aaaab)), 23);
    m = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(power, 23)));
    e = _mm256_cvtepi32_ps(power);
}

}  // namespace vectors
#endif
