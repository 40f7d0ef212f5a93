
// -- Reductions over one axis: x[a][i][b] -> y[a][b]
//
// Every number of y has a lane of its own, whichever way they are put together.

// The sum of N terms, blocks of them by halves as above; add_term(i, part) adds term i to a part.
template <std::size_t N, class V, std::size_t C, class F>
NALU_EXPORT_INLINE void sum_terms(V (&sum)[C], F add_term) noexcept {
  constexpr std::size_t blocks = (N + chain - 1) / chain;
  V waiting[bits(blocks)][C];
  for (std::size_t block = 0; block < blocks; ++block) {
    V part[C];
    for (std::size_t k = 0; k < C; ++k) part[k] = V{};
    for (std::size_t i = block * chain; i < N && i < (block + 1) * chain; ++i) add_term(i, part);
    carry(waiting, part, block);
  }
  collect<blocks>(waiting, sum);
}

// Of term(0) to term(N - 1); M is what is done with vectors of them.
struct sum_of {
  template <class M, std::size_t N, class F>
  static NALU_EXPORT_INLINE typename M::V over(F term) noexcept {
    typename M::V sum[1];
    sum_terms<N>(sum, [&](std::size_t i, typename M::V(&part)[1]) noexcept { part[0] = part[0] + term(i); });
    return sum[0];
  }
};
struct mean_of {
  template <class M, std::size_t N, class F>
  static NALU_EXPORT_INLINE typename M::V over(F term) noexcept {
    return sum_of::over<M, N>(term) / M::splat(static_cast<typename M::number>(N));
  }
};
// The others go from first to last.
struct product_of {
  template <class M, std::size_t N, class F>
  static NALU_EXPORT_INLINE typename M::V over(F term) noexcept {
    typename M::V found = term(0);
    for (std::size_t i = 1; i < N; ++i) found = M::mul(found, term(i));
    return found;
  }
};
struct largest_of {
  template <class M, std::size_t N, class F>
  static NALU_EXPORT_INLINE typename M::V over(F term) noexcept {
    typename M::V found = term(0);
    for (std::size_t i = 1; i < N; ++i) found = M::maximum(found, term(i));
    return found;
  }
};
struct smallest_of {
  template <class M, std::size_t N, class F>
  static NALU_EXPORT_INLINE typename M::V over(F term) noexcept {
    typename M::V found = term(0);
    for (std::size_t i = 1; i < N; ++i) found = M::minimum(found, term(i));
    return found;
  }
};

template <class Of, class T, std::size_t S, std::size_t A, std::size_t N, std::size_t B>
NALU_EXPORT_INLINE void reduce(const T* x, T* y) noexcept {
  constexpr std::size_t each = B * S, native = NALU_EXPORT_BYTES / sizeof(T), full = each / native * native;
  for (std::size_t a = 0; a < A; ++a, x += N * each, y += each) {
    for (std::size_t b = 0; b < full; b += native) {
      using M = simd<T, native>;
      M::store(y + b, Of::template over<M, N>([&](std::size_t i) noexcept { return M::load(x + i * each + b); }));
    }
    for (std::size_t b = full; b < each; ++b) {
      using M = simd<T, 16 / sizeof(T)>;
      const auto term = [&](std::size_t i) noexcept { return M::template load<1>(x + i * each + b); };
      M::template store<1>(y + b, Of::template over<M, N>(term));
    }
  }
}

// -- Products of matrices: a[m][k] b[k][p] -> y[m][p]; one of them may be the same for every sample
template <bool Same, class R, std::size_t S, class T>
NALU_EXPORT_INLINE typename R::V of_row(const T* a, std::size_t at, std::size_t v) noexcept {
  if constexpr (Same) return R::simd_t::splat(a[at]);
  return R::shared(a + at * S, v);
}
template <bool Same, class R, std::size_t S, class T>
NALU_EXPORT_INLINE typename R::V of_columns(const T* b, std::size_t at, std::size_t v) noexcept {
  if constexpr (Same) return R::constant(b + at, v);
  return R::load(b + at * S, v);
}
template <class T, std::size_t S, std::size_t M, std::size_t K, std::size_t P, bool SameA, bool SameB>
NALU_EXPORT_INLINE void matrix_product(const T* a, const T* b, T* y) noexcept {
  each_tile<P>([&](auto wide, std::size_t o) noexcept {
    using R = tile<T, S, decltype(wide)::value>;
    for (std::size_t m = 0; m < M; ++m) {
      typename R::V sum[R::count];
      sum_terms<K>(sum, [&](std::size_t k, typename R::V(&part)[R::count]) noexcept {
        for (std::size_t v = 0; v < R::count; ++v) {
          const auto left = of_row<SameA, R, S>(a, m * K + k, v), right = of_columns<SameB, R, S>(b, k * P + o, v);
          part[v] = R::simd_t::fma(left, right, part[v]);
        }
      });
      for (std::size_t v = 0; v < R::count; ++v) R::store(y + (m * P + o) * S, v, sum[v]);
    }
  });
}

// -- N numbers of each sample, to another place
template <class T, std::size_t S, std::size_t N>
NALU_EXPORT_INLINE void move(const T* from, T* to) noexcept {
  for (std::size_t i = 0; i < N * S; ++i) to[i] = from[i];
}

