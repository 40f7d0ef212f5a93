// ---- The arithmetic that every exported header is written with; the same text in each of them. ----
//
// Every operation is written out: a product that is added to something goes through an explicit fused multiply-add where
// the target has one and is rounded where it has none, so that a compiler has no choice left. Results therefore depend
// neither on the optimisation level nor on the compiler, the size of the batch, or the number of lanes of a vector.

// -- Vectors of N numbers

#ifdef NALU_EXPORT_SIMD
template <class T, std::size_t N>
struct vector_of {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
#else
// The operators of GNU vectors for any compiler, which may find vector instructions for them by itself.
template <class T, std::size_t N>
struct lanes {
  T at[N];
  T& operator[](std::size_t k) noexcept { return at[k]; }
  const T& operator[](std::size_t k) const noexcept { return at[k]; }
};
template <class T, std::size_t N, class F>
NALU_EXPORT_INLINE auto each(const lanes<T, N>& a, const lanes<T, N>& b, F f) noexcept {
  lanes<decltype(f(a[0], b[0])), N> r{};
  for (std::size_t k = 0; k < N; ++k) r[k] = f(a[k], b[k]);
  return r;
}
#define NALU_EXPORT_OPERATOR(OP, RESULT)                                                        \
  template <class T, std::size_t N>                                                             \
  NALU_EXPORT_INLINE auto operator OP(const lanes<T, N>& a, const lanes<T, N>& b) noexcept {    \
    return each(a, b, [](T p, T q) noexcept { return static_cast<RESULT>(p OP q); });                    \
  }
NALU_EXPORT_OPERATOR(+, T)
NALU_EXPORT_OPERATOR(-, T)
NALU_EXPORT_OPERATOR(*, T)
NALU_EXPORT_OPERATOR(/, T)
NALU_EXPORT_OPERATOR(&, T)
NALU_EXPORT_OPERATOR(<<, T)
NALU_EXPORT_OPERATOR(>>, T)
NALU_EXPORT_OPERATOR(<, bool)
NALU_EXPORT_OPERATOR(==, bool)
#undef NALU_EXPORT_OPERATOR
template <class T, std::size_t N>
struct vector_of {
  using type = lanes<T, N>;
};
#endif

// a*b + c, rounded once where the target can, else twice.
template <class T>
NALU_EXPORT_INLINE T multiply_add(T a, T b, T c) noexcept {
#ifdef NALU_EXPORT_FMA
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// a*b, rounded: a compiler that finds a product and a sum apart may fuse them, not what is one already. Adding -0 keeps
// the sign of a zero.
template <class T>
NALU_EXPORT_INLINE T multiply(T a, T b) noexcept {
  return multiply_add(a, b, T(-0.0));
}

// The same bits as something else.
template <class To, class From>
NALU_EXPORT_INLINE To cast(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to{};
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Vectors of N numbers of type T, and the functions of them that are exact.
template <class T, std::size_t N>
struct vectors {
  using number = T;
  using V = typename vector_of<T, N>::type;
  static constexpr std::size_t bytes = N * sizeof(T);
  // Masks where none is needed: of the plain intrinsics GCC warns that they are uninitialised (GCC bug 105593).
  static constexpr std::uint16_t all = 0xffff;

  template <class E = T>
  static NALU_EXPORT_INLINE typename vector_of<E, N>::type splat(E value) noexcept {
#ifdef NALU_EXPORT_SIMD
    return value - typename vector_of<E, N>::type{};
#else
    typename vector_of<E, N>::type r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = value;
    return r;
#endif
  }

  // The first P numbers; the rest is 0, and nothing beyond them is read or written.
  template <std::size_t P = N>
  static NALU_EXPORT_INLINE V load(const T* from) noexcept {
    V r{};
    if constexpr (P == N) {
      std::memcpy(&r, from, sizeof r);
    } else {
      // Number by number: a vector that is put together in memory has to wait until it is there.
      NALU_EXPORT_UNROLL
      for (std::size_t k = 0; k < P; ++k) r[k] = from[k];
    }
    return r;
  }
  template <std::size_t P = N>
  static NALU_EXPORT_INLINE void store(T* to, const V& value) noexcept {
    if constexpr (P == N) {
      std::memcpy(to, &value, sizeof value);
    } else {
      NALU_EXPORT_UNROLL
      for (std::size_t k = 0; k < P; ++k) to[k] = value[k];
    }
  }

  template <class M>
  static NALU_EXPORT_INLINE V select(const M& mask, const V& yes, const V& no) noexcept {
#ifdef NALU_EXPORT_SIMD
    return mask ? yes : no;
#else
    V r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = mask[k] ? yes[k] : no[k];
    return r;
#endif
  }

  template <class F>
  static NALU_EXPORT_INLINE V each_lane(const V& x, F f) noexcept {
    V r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = f(x[k]);
    return r;
  }
  template <class F>
  static NALU_EXPORT_INLINE V each_lane(const V& x, const V& y, F f) noexcept {
    V r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = f(x[k], y[k]);
    return r;
  }

  static NALU_EXPORT_INLINE V fma(const V& a, const V& b, const V& c) noexcept {
#if !defined(NALU_EXPORT_FMA)
    return a * b + c;
#elif defined(NALU_EXPORT_X86) && defined(__FMA__)
    if constexpr (sizeof(T) == 4) {
#ifdef __AVX512F__
      if constexpr (bytes == 64) return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#endif
      if constexpr (bytes == 32) return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
      if constexpr (bytes == 16) return (V)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
    } else {
#ifdef __AVX512F__
      if constexpr (bytes == 64) return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#endif
      if constexpr (bytes == 32) return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
      if constexpr (bytes == 16) return (V)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c);
    }
#else
    V r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = multiply_add(a[k], b[k], c[k]);
    return r;
#endif
  }

  // See multiply.
  static NALU_EXPORT_INLINE V mul(const V& a, const V& b) noexcept { return fma(a, b, splat(T(-0.0))); }

  static NALU_EXPORT_INLINE V neg(const V& x) noexcept { return splat(T(-1)) * x; }
  static NALU_EXPORT_INLINE V abs(const V& x) noexcept { return select(x < splat(T(0)), neg(x), x + splat(T(0))); }
  // 0 for NaN, as in PyTorch.
  static NALU_EXPORT_INLINE V sign(const V& x) noexcept {
    const V zero = splat(T(0)), one = splat(T(1));
    return select(zero < x, one, zero) - select(x < zero, one, zero);
  }
  // NaN stays NaN: where one of them is, the instruction gives its second operand.
  static NALU_EXPORT_INLINE V at_least(const V& x, const V& low) noexcept {
#ifdef NALU_EXPORT_X86
    if constexpr (sizeof(T) == 4 && bytes == 16) return (V)_mm_max_ps((__m128)low, (__m128)x);
#ifdef __AVX__
    if constexpr (sizeof(T) == 4 && bytes == 32) return (V)_mm256_max_ps((__m256)low, (__m256)x);
#endif
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 4 && bytes == 64) return (V)_mm512_maskz_max_ps(all, (__m512)low, (__m512)x);
#endif
#endif
    return select(x < low, low, x);
  }
  static NALU_EXPORT_INLINE V at_most(const V& x, const V& high) noexcept {
#ifdef NALU_EXPORT_X86
    if constexpr (sizeof(T) == 4 && bytes == 16) return (V)_mm_min_ps((__m128)high, (__m128)x);
#ifdef __AVX__
    if constexpr (sizeof(T) == 4 && bytes == 32) return (V)_mm256_min_ps((__m256)high, (__m256)x);
#endif
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 4 && bytes == 64) return (V)_mm512_maskz_min_ps(all, (__m512)high, (__m512)x);
#endif
#endif
    return select(high < x, high, x);
  }

  // NaN where one of them is, as in PyTorch.
  static NALU_EXPORT_INLINE V maximum(const V& x, const V& y) noexcept {
    return select(y == y, select(x < y, y, x), y);
  }
  static NALU_EXPORT_INLINE V minimum(const V& x, const V& y) noexcept {
    return select(y == y, select(y < x, y, x), y);
  }

  // Comparisons are 1 where they hold and 0 elsewhere; any number but 0 counts as one that holds, NaN too.
  static NALU_EXPORT_INLINE V lt(const V& x, const V& y) noexcept { return truth(x < y); }
  static NALU_EXPORT_INLINE V gt(const V& x, const V& y) noexcept { return truth(y < x); }
  static NALU_EXPORT_INLINE V eq(const V& x, const V& y) noexcept { return truth(x == y); }
  static NALU_EXPORT_INLINE V ne(const V& x, const V& y) noexcept { return logical_not(eq(x, y)); }
  static NALU_EXPORT_INLINE V le(const V& x, const V& y) noexcept { return select(x == y, splat(T(1)), lt(x, y)); }
  static NALU_EXPORT_INLINE V ge(const V& x, const V& y) noexcept { return le(y, x); }
  static NALU_EXPORT_INLINE V logical_not(const V& x) noexcept { return truth(x == splat(T(0))); }
  static NALU_EXPORT_INLINE V logical_and(const V& x, const V& y) noexcept {
    return where(x, where(y, splat(T(1)), splat(T(0))), splat(T(0)));
  }
  static NALU_EXPORT_INLINE V logical_or(const V& x, const V& y) noexcept {
    return where(x, splat(T(1)), where(y, splat(T(1)), splat(T(0))));
  }
  static NALU_EXPORT_INLINE V where(const V& condition, const V& yes, const V& no) noexcept {
    return select(condition == splat(T(0)), no, yes);
  }

  // To the nearest integer, of two that are as near to the even one; zeros keep the sign of x.
  static NALU_EXPORT_INLINE V round(const V& x) noexcept {
    // Beyond it every number is an integer; below it, adding it rounds to one.
    const V large = splat(sizeof(T) == 4 ? T(0x1p23) : T(0x1p52)), zero = splat(T(0));
    const V size = abs(x), whole = (size + large) - large;
    const V rounded = select(whole == zero, mul(x, zero), select(x < zero, neg(whole), whole));
    return select(size < large, rounded, x);
  }
  static NALU_EXPORT_INLINE V floor(const V& x) noexcept {
    const V rounded = round(x);
    return select(x < rounded, rounded - splat(T(1)), rounded);
  }
  static NALU_EXPORT_INLINE V ceil(const V& x) noexcept { return neg(floor(neg(x))); }
  static NALU_EXPORT_INLINE V trunc(const V& x) noexcept { return select(x < splat(T(0)), ceil(x), floor(x)); }

  static NALU_EXPORT_INLINE V sqrt(const V& x) noexcept {
#ifdef NALU_EXPORT_X86
    if constexpr (sizeof(T) == 4 && bytes == 16) return (V)_mm_sqrt_ps((__m128)x);
    if constexpr (sizeof(T) == 8 && bytes == 16) return (V)_mm_sqrt_pd((__m128d)x);
#ifdef __AVX__
    if constexpr (sizeof(T) == 4 && bytes == 32) return (V)_mm256_sqrt_ps((__m256)x);
    if constexpr (sizeof(T) == 8 && bytes == 32) return (V)_mm256_sqrt_pd((__m256d)x);
#endif
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 4 && bytes == 64) return (V)_mm512_maskz_sqrt_ps(all, (__m512)x);
    if constexpr (sizeof(T) == 8 && bytes == 64) return (V)_mm512_maskz_sqrt_pd(std::uint8_t(all), (__m512d)x);
#endif
#endif
    return each_lane(x, [](T v) noexcept { return std::sqrt(v); });
  }

 private:
  template <class M>
  static NALU_EXPORT_INLINE V truth(const M& mask) noexcept {
    return select(mask, splat(T(1)), splat(T(0)));
  }
};
