// -- Blocks of samples, in and out, of any type: x[sample][feature] <-> block[feature][sample]
//
// A block that is not full repeats its last sample. An integer is rounded once, true is 1, and what is not 0 is true.
template <class T, std::size_t S, std::size_t N, class X>
NALU_EXPORT_INLINE void read(const X* x, std::size_t samples, T* block) noexcept {
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < N; ++i) block[i * S + s] = static_cast<T>(x[s * N + i]);
  }
  for (std::size_t s = samples; s < S; ++s) {
    for (std::size_t i = 0; i < N; ++i) block[i * S + s] = block[i * S + samples - 1];
  }
}
template <class T, std::size_t S, std::size_t N, class Y>
NALU_EXPORT_INLINE void write(const T* block, std::size_t samples, Y* y) noexcept {
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < N; ++i) y[s * N + i] = static_cast<Y>(block[i * S + s]);
  }
}
// What is given as it was taken.
template <std::size_t N, class X>
NALU_EXPORT_INLINE void pass(const X* x, std::size_t samples, X* y) noexcept {
  for (std::size_t i = 0; i < N * samples; ++i) y[i] = x[i];
}
