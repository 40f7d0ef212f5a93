// -- Tiles: P neighbouring outputs of a layer, for S samples at once
//
// A block of samples is held feature by feature, S numbers for each. With S = 1 the lanes of a vector are neighbouring
// features, otherwise they are samples.
template <class T, std::size_t S, std::size_t P>
struct tile {
  static constexpr std::size_t native = NALU_EXPORT_BYTES / sizeof(T);
  static constexpr std::size_t narrow = 16 / sizeof(T);
  static constexpr std::size_t lanes = S > 1 || P >= native ? native : (P > narrow ? P : narrow);
  static constexpr std::size_t across = S > 1 ? S / lanes : 1;  // vectors for each feature
  static constexpr std::size_t count = S > 1 ? P * across : (P > lanes ? P / lanes : 1);
  static constexpr std::size_t filled = S == 1 && P < lanes ? P : lanes;
  using simd_t = simd<T, lanes>;
  using V = typename simd_t::V;

  // The k-th vector of values that the tile has for each feature.
  static NALU_EXPORT_INLINE V load(const T* from, std::size_t k) noexcept {
    return simd_t::template load<filled>(from + k * lanes);
  }
  static NALU_EXPORT_INLINE void store(T* to, std::size_t k, const V& value) noexcept {
    simd_t::template store<filled>(to + k * lanes, value);
  }
  // The same of numbers that do not depend on the sample.
  static NALU_EXPORT_INLINE V constant(const T* from, std::size_t k) noexcept {
    if constexpr (S == 1) return simd_t::template load<filled>(from + k * lanes);
    return simd_t::splat(from[k / across]);
  }
  // The same of a value that a sample has once for all features.
  static NALU_EXPORT_INLINE V shared(const T* from, std::size_t k) noexcept {
    if constexpr (S == 1) return simd_t::splat(from[0]);
    return simd_t::load(from + (k % across) * lanes);
  }
};

template <std::size_t P>
using width = std::integral_constant<std::size_t, P>;

// f(width, first) for N features in tiles of 16, then 8, 4, 2 and 1.
template <std::size_t N, class F>
NALU_EXPORT_INLINE void each_tile(F&& f) noexcept {
  for (std::size_t o = 0; o + 16 <= N; o += 16) f(width<16>{}, o);
  if constexpr ((N & 8) != 0) f(width<8>{}, N / 16 * 16);
  if constexpr ((N & 4) != 0) f(width<4>{}, N / 8 * 8);
  if constexpr ((N & 2) != 0) f(width<2>{}, N / 4 * 4);
  if constexpr ((N & 1) != 0) f(width<1>{}, N - 1);
}

// -- Sums: y = x W^T for a tile of outputs
//
// W is stored tile by tile, in a tile input by input: w[i*P + p]. A sum goes over blocks of 8 inputs; what two of them
// give is added, then what two of these pairs give, and so on: a sum of 256 products goes through 12 roundings of partial
// sums, one after the other through 255.
constexpr std::size_t chain = 8;

template <class V, std::size_t C>
NALU_EXPORT_INLINE void add(V (&sum)[C], const V (&other)[C]) noexcept {
  NALU_EXPORT_UNROLL
  for (std::size_t k = 0; k < C; ++k) sum[k] = sum[k] + other[k];
}
template <class V, std::size_t C>
NALU_EXPORT_INLINE void copy(V (&to)[C], const V (&from)[C]) noexcept {
  NALU_EXPORT_UNROLL
  for (std::size_t k = 0; k < C; ++k) to[k] = from[k];
}

// The largest power of two below n.
constexpr std::size_t half(std::size_t n) noexcept {
  std::size_t found = 1;
  while (2 * found < n) found *= 2;
  return found;
}

// Binary digits of n.
constexpr std::size_t bits(std::size_t n) noexcept {
  std::size_t found = 0;
  for (; n != 0; n /= 2) ++found;
  return found;
}

// C vectors of a tile, from K inputs: those of all its outputs with S = 1, else of as many outputs as C has samples for.
template <class T, std::size_t S, std::size_t P, std::size_t K, std::size_t C>
NALU_EXPORT_INLINE void sum_block(const T* w, const T* x, typename tile<T, S, P>::V (&sum)[C]) noexcept {
  using R = tile<T, S, P>;
  using M = typename R::simd_t;
  using V = typename R::V;
  NALU_EXPORT_UNROLL
  for (std::size_t k = 0; k < C; ++k) sum[k] = V{};
  if constexpr (S == 1) {
    NALU_EXPORT_UNROLL
    for (std::size_t i = 0; i < K; ++i) {
      NALU_EXPORT_UNROLL
      for (std::size_t k = 0; k < C; ++k) sum[k] = M::fma(R::load(w + i * P, k), M::splat(x[i]), sum[k]);
    }
  } else {
    NALU_EXPORT_LOOP
    for (std::size_t i = 0; i < K; ++i) {
      V values[R::across];
      NALU_EXPORT_UNROLL
      for (std::size_t k = 0; k < R::across; ++k) values[k] = M::load(x + i * S + k * R::lanes);
      NALU_EXPORT_UNROLL
      for (std::size_t row = 0; row < C / R::across; ++row) {
        const V weight = M::splat(w[i * P + row]);
        NALU_EXPORT_UNROLL
        for (std::size_t k = 0; k < R::across; ++k) {
          sum[row * R::across + k] = M::fma(weight, values[k], sum[row * R::across + k]);
        }
      }
    }
  }
}

// The same from N inputs by halves.
template <class T, std::size_t S, std::size_t P, std::size_t N, std::size_t C>
NALU_EXPORT_INLINE void sum_halves(const T* w, const T* x, typename tile<T, S, P>::V (&sum)[C]) noexcept {
  if constexpr (N <= chain) {
    sum_block<T, S, P, N, C>(w, x, sum);
  } else {
    constexpr std::size_t left = chain * half((N + chain - 1) / chain);
    sum_halves<T, S, P, left, C>(w, x, sum);
    typename tile<T, S, P>::V right[C];
    sum_halves<T, S, P, N - left, C>(w + left * P, x + left * S, right);
    add(sum, right);
  }
}

// Adds what waits for the sum of a span, by the span's number, as one counts in binary, and lets the result wait.
template <class V, std::size_t L, std::size_t C>
NALU_EXPORT_INLINE void carry(V (&waiting)[L][C], V (&sum)[C], std::size_t number) noexcept {
  std::size_t level = 0;
  for (; (number >> level) % 2 != 0; ++level) add(sum, waiting[level]);
  copy(waiting[level], sum);
}

// The sum of all spans: what waits for no other one any more, the last ones first.
template <std::size_t spans, class V, std::size_t L, std::size_t C>
NALU_EXPORT_INLINE void collect(const V (&waiting)[L][C], V (&sum)[C]) noexcept {
  constexpr std::size_t first = bits(spans & (~spans + 1)) - 1;
  copy(sum, waiting[first]);
  for (std::size_t level = first + 1; level < L; ++level) {
    if ((spans >> level) % 2 != 0) add(sum, waiting[level]);
  }
}

// And from any number of inputs: spans of 8 blocks in a loop, so that code does not grow with N.
constexpr std::size_t span = 8 * chain;
template <class T, std::size_t S, std::size_t P, std::size_t N, std::size_t C>
NALU_EXPORT_INLINE void sum_inputs(const T* w, const T* x, typename tile<T, S, P>::V (&sum)[C]) noexcept {
  constexpr std::size_t full = N / span, spans = (N + span - 1) / span;
  if constexpr (spans <= 1) {
    sum_halves<T, S, P, N, C>(w, x, sum);
  } else {
    // What waits for a sum over as many inputs: number k over 2^k spans.
    constexpr std::size_t levels = bits(spans);
    typename tile<T, S, P>::V waiting[levels][C];
    for (std::size_t number = 0; number < full; ++number) {
      typename tile<T, S, P>::V part[C];
      sum_halves<T, S, P, span, C>(w + number * span * P, x + number * span * S, part);
      carry(waiting, part, number);
    }
    if constexpr (full < spans) {
      typename tile<T, S, P>::V part[C];
      sum_halves<T, S, P, N - full * span, C>(w + full * span * P, x + full * span * S, part);
      carry(waiting, part, full);
    }
    collect<spans>(waiting, sum);
  }
}

template <class T, std::size_t S, std::size_t P, std::size_t N>
NALU_EXPORT_INLINE void sum_tile(const T* w, const T* x, typename tile<T, S, P>::V* y) noexcept {
  using R = tile<T, S, P>;
  constexpr std::size_t rows = S == 1 || P < NALU_EXPORT_ROWS ? P : NALU_EXPORT_ROWS;
  constexpr std::size_t vectors = S == 1 ? R::count : rows * R::across;
  for (std::size_t p = 0; p < P; p += rows) {
    typename R::V sum[vectors];
    sum_inputs<T, S, P, N, vectors>(w + p, x, sum);
    NALU_EXPORT_UNROLL
    for (std::size_t k = 0; k < vectors; ++k) y[p * R::across + k] = sum[k];
  }
}
// The sums of a stage share it.
template <class T, std::size_t S, std::size_t P, std::size_t N>
NALU_EXPORT_NOINLINE void sum_tile_called(const T* w, const T* x, typename tile<T, S, P>::V* y) noexcept {
  sum_tile<T, S, P, N>(w, x, y);
}

template <class T, std::size_t S, std::size_t P, std::size_t N>
NALU_EXPORT_INLINE void linear(const T* w, const T* x, typename tile<T, S, P>::V* y) noexcept {
  // Where a call is nothing beside its work, less code.
  if constexpr (S * P * N >= 512) {
    sum_tile_called<T, S, P, N>(w, x, y);
  } else {
    sum_tile<T, S, P, N>(w, x, y);
  }
}

