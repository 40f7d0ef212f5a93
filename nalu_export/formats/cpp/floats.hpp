// -- Blocks of samples, in and out: x[sample][feature] <-> block[feature][sample]
//
// A block that is not full repeats its last sample.
template <class T, std::size_t S, std::size_t N>
NALU_EXPORT_INLINE void read(const float* x, std::size_t samples, T* block) noexcept {
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < N; ++i) block[i * S + s] = static_cast<T>(x[s * N + i]);
  }
  for (std::size_t s = samples; s < S; ++s) {
    for (std::size_t i = 0; i < N; ++i) block[i * S + s] = block[i * S + samples - 1];
  }
}
template <class T, std::size_t S, std::size_t N>
NALU_EXPORT_INLINE void write(const T* block, std::size_t samples, float* y) noexcept {
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < N; ++i) y[s * N + i] = static_cast<float>(block[i * S + s]);
  }
}
