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

// Everything that is done with vectors of N numbers of type T.
template <class T, std::size_t N>
struct simd {
  using V = typename vector_of<T, N>::type;
  static constexpr std::size_t bytes = N * sizeof(T);
  // Masks where none is needed: of the plain intrinsics GCC warns that they are uninitialised (GCC bug 105593).
  static constexpr std::uint16_t all = 0xffff;

  template <class To, class From>
  static NALU_EXPORT_INLINE To cast(const From& from) noexcept {
    static_assert(sizeof(To) == sizeof(From), "another view of the same bits");
    To to{};
    std::memcpy(&to, &from, sizeof to);
    return to;
  }

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

  // Error at most 0.91 ulp (measured over every float); subnormal results included.
  static NALU_EXPORT_INLINE V exp(const V& given) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(given, [](double x) noexcept { return std::exp(x); });
    } else {
      using I = typename vector_of<std::int32_t, N>::type;
      using U = typename vector_of<std::uint32_t, N>::type;
      // Beyond these the result is 0 or infinite, and the exponent below would not fit.
      const V x = at_most(at_least(given, splat(-104.0f)), splat(89.0f));
      // x = n log 2 + r, |r| <= log 2 / 2. Adding 1.5*2^23 rounds to an integer, which is then in the low bits.
      const V magic = splat(0x1.8p23f);
      const V shifted = fma(x, splat(0x1.715476p0f), magic);
      const V n = shifted - magic;
      // log 2 in two parts, the first of which has so few bits that n times it is exact; so is what is left of x then.
      const V left = fma(n, splat(-0x1.62e4p-1f), x);
      const V rest = n * splat(-0x1.7f7d1cp-20f);
      const V r = fma(n, splat(-0x1.7f7d1cp-20f), left);
      // exp(r) = 1 + r + r^2 q(r), q by the Remez algorithm, its coefficients rounded one after the other.
      const V r2 = r * r;
      const V low = fma(splat(0x1.555492p-3f), r, splat(0x1.fffffcp-2f));
      const V high = fma(splat(0x1.12397cp-7f), r, splat(0x1.5558acp-5f));
      const V q = fma(fma(splat(0x1.6a511ap-10f), r2, high), r2, low);
      // Small terms first: the rounding of r itself would be a quarter of an ulp more.
      const V p = splat(1.0f) + (left + fma(r2, q, rest));
      return times_power_of_two(p, n, cast<I>(cast<U>(shifted) - cast<U>(magic)));
    }
  }

  // Error at most 0.96 ulp (measured over every float); subnormal arguments included.
  static NALU_EXPORT_INLINE V log(const V& x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, [](double v) noexcept { return std::log(v); });
    } else {
      const V zero = splat(0.0f), infinity = splat(std::numeric_limits<float>::infinity());
      const auto subnormal = x < splat(0x1p-126f);
      const V result = log_of_normal(select(subnormal, x * splat(0x1p25f), x), select(subnormal, splat(25.0f), zero));
      const V special = select(x < zero, splat(std::numeric_limits<float>::quiet_NaN()), x);
      const V edge = select(x == zero, zero - infinity, special);
      return select(zero < x, select(x < infinity, result, edge), edge);
    }
  }

  // The same of what is no smaller than 2^-126.
  static NALU_EXPORT_INLINE V log_normal(const V& x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, [](double v) noexcept { return std::log(v); });
    } else {
      return select(x < splat(std::numeric_limits<float>::infinity()), log_of_normal(x, splat(0.0f)), x);
    }
  }

  // The others are rare: the standard library's in float64, rounded once.
  static NALU_EXPORT_INLINE V tanh(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::tanh(static_cast<double>(v))); });
  }
  static NALU_EXPORT_INLINE V sinh(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::sinh(static_cast<double>(v))); });
  }
  static NALU_EXPORT_INLINE V asinh(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::asinh(static_cast<double>(v))); });
  }
  static NALU_EXPORT_INLINE V cos(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::cos(static_cast<double>(v))); });
  }

 private:
  // log(x / 2^less) for 2^-126 <= x < infinity.
  static NALU_EXPORT_INLINE V log_of_normal(const V& x, const V& less) noexcept {
    using I = typename vector_of<std::int32_t, N>::type;
    using U = typename vector_of<std::uint32_t, N>::type;
    // x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2).
    const U above = cast<U>(x) - splat(std::uint32_t(0x3f3504f3));
    const I exponent = cast<I>(above) >> splat(std::int32_t(23));
    const V f = cast<V>(cast<U>(x) - (cast<U>(exponent) << splat(std::uint32_t(23)))) - splat(1.0f);
    // The low bits of 1.5*2^23 + k hold k.
    const V k = cast<V>(cast<U>(exponent) + splat(std::uint32_t(0x4b400000))) - splat(0x1.8p23f) - less;
    // log(1 + f) = f - f^2/2 + f^3 q(f), q by the Remez algorithm, its coefficients rounded one after the other.
    const V f2 = f * f;
    const V f4 = f2 * f2;
    const V q0 = fma(splat(-0x1.000226p-2f), f, splat(0x1.555554p-2f));
    const V q1 = fma(splat(-0x1.54728ap-3f), f, splat(0x1.99a01cp-3f));
    const V q2 = fma(splat(-0x1.0d8242p-3f), f, splat(0x1.22d92ep-3f));
    const V q3 = fma(splat(-0x1.38c9dep-4f), f, splat(0x1.055ec6p-3f));
    const V q = fma(fma(q3, f2, q2), f4, fma(q1, f2, q0));
    // The largest term last: k times the high part of log 2, which is exact.
    const V tail = fma(f2, fma(f, q, splat(-0.5f)), k * splat(-0x1.bd0106p-13f));
    return fma(k, splat(0x1.63p-1f), f + tail);
  }
  // p*2^n, rounded once; n as a number and as an integer.
  template <class I>
  static NALU_EXPORT_INLINE V times_power_of_two(const V& p, const V& n, const I& whole) noexcept {
    (void)n, (void)whole;
#if defined(NALU_EXPORT_X86) && defined(__AVX512F__)
    if constexpr (bytes == 64) return (V)_mm512_maskz_scalef_ps(all, (__m512)p, (__m512)n);
#ifdef __AVX512VL__
    if constexpr (bytes == 32) return (V)_mm256_maskz_scalef_ps(static_cast<std::uint8_t>(all), (__m256)p, (__m256)n);
    if constexpr (bytes == 16) return (V)_mm_maskz_scalef_ps(static_cast<std::uint8_t>(all), (__m128)p, (__m128)n);
#endif
#endif
    // In two factors, because neither 2^128 nor 2^-149 is one normal float.
    using U = typename vector_of<std::uint32_t, N>::type;
    const I half = whole >> splat(std::int32_t(1));
    return mul(p * power_of_two(cast<U>(half)), power_of_two(cast<U>(whole) - cast<U>(half)));
  }
  template <class U>
  static NALU_EXPORT_INLINE V power_of_two(const U& n) noexcept {
    return cast<V>((n + splat(std::uint32_t(127))) << splat(std::uint32_t(23)));
  }
};

