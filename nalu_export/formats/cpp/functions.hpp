
// -- Functions of vectors, without a branch
//
// In float64, and where few models need one, they are the standard library's; in float32 such a one is that of float64,
// rounded once.
template <class T, std::size_t N>
struct simd : vectors<T, N> {
  using base = vectors<T, N>;
  using typename base::V;
  using base::abs, base::all, base::at_least, base::at_most, base::bytes, base::each_lane, base::fma, base::mul;
  using base::neg, base::round, base::select, base::splat;
  using I = typename vector_of<std::int32_t, N>::type;
  using U = typename vector_of<std::uint32_t, N>::type;

  // Error at most 0.91 ulp (measured over every float); subnormal results included.
  static NALU_EXPORT_LONG V exp(const V& given) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(given, [](double x) noexcept { return std::exp(x); });
    } else {
      // Beyond these the result is 0 or infinite, and the exponent below would not fit.
      const power x(at_most(at_least(given, splat(-104.0f)), splat(89.0f)));
      // Small terms first: the rounding of r itself would be a quarter of an ulp more.
      return times_power_of_two(splat(1.0f) + (x.left + x.tail()), x.n, x.whole());
    }
  }

  // Error at most 1.26 ulp (measured over every float); near 0 too.
  static NALU_EXPORT_LONG V expm1(const V& given) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(given, [](double x) noexcept { return std::expm1(x); });
    } else {
      // Below -18 the result is -1.
      const power x(at_most(at_least(given, splat(-18.0f)), splat(89.0f)));
      const V tail = x.tail(), near = x.left + tail, lost = tail - (near - x.left);
      // 2^n exp(r) - 1 = 2 (2^(n-1) (exp(r) - 1) + (2^(n-1) - 1/2)): 2^128 is no float.
      const V half = power_of_two(cast<U>(x.whole()) - splat(std::uint32_t(1)));
      const V sum = fma(half, lost, fma(half, near, half - splat(0.5f)));
      return select(x.n == splat(0.0f), select(given == splat(0.0f), given, near), sum + sum);
    }
  }

  // Error at most 0.96 ulp (measured over every float); subnormal arguments included.
  static NALU_EXPORT_LONG V log(const V& x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, [](double v) noexcept { return std::log(v); });
    } else {
      const V zero = splat(0.0f), infinity = splat(std::numeric_limits<float>::infinity());
      const auto subnormal = x < splat(0x1p-126f);
      const split s(select(subnormal, x * splat(0x1p25f), x));
      const V result = log_of(s.k - select(subnormal, splat(25.0f), zero), s.f, zero);
      const V special = select(x < zero, splat(std::numeric_limits<float>::quiet_NaN()), x);
      const V edge = select(x == zero, zero - infinity, special);
      return select(zero < x, select(x < infinity, result, edge), edge);
    }
  }

  // The same of what is no smaller than 2^-126.
  static NALU_EXPORT_LONG V log_normal(const V& x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, [](double v) noexcept { return std::log(v); });
    } else {
      const split s(x);
      return select(x < splat(std::numeric_limits<float>::infinity()), log_of(s.k, s.f, splat(0.0f)), x);
    }
  }

  // Error at most 0.99 ulp (measured over every float); near 0 too.
  static NALU_EXPORT_LONG V log1p(const V& x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, [](double v) noexcept { return std::log1p(v); });
    } else {
      const V zero = splat(0.0f), one = splat(1.0f), infinity = splat(std::numeric_limits<float>::infinity());
      // 1 + x = u + lost, and log(1 + x) = log(u) + lost/u; where u needs no power of two, f is x itself.
      const V u = one + x;
      const V lost = select(x < one, x - (u - one), one - (u - x));
      const split s(u);
      const auto near = s.k == zero;
      const V result = log_of(s.k, select(near, x, s.f), select(near, zero, lost / u));
      const V special = select(x < zero - one, splat(std::numeric_limits<float>::quiet_NaN()), x);
      const V edge = select(x == zero - one, zero - infinity, special);
      return select(zero - one < x, select(x < infinity, select(x == zero, x, result), edge), edge);
    }
  }

  // Error at most 0.51 ulp (measured over many pairs); of zeros, infinities, NaN and negative numbers it is what C says.
  static NALU_EXPORT_LONG V pow(const V& x, const V& y) noexcept {
    if constexpr (sizeof(T) == 8) {
      return each_lane(x, y, [](double v, double w) noexcept { return std::pow(v, w); });
    } else {
      const V zero = splat(0.0f), one = splat(1.0f), infinity = splat(std::numeric_limits<float>::infinity());
      const V size = abs(x), halved = y * splat(0.5f);
      const V positive = select(size == one, one, positive_power(size, y));
      // The sign of a negative x, of -0 too, goes with an odd exponent, and with none that is not an integer.
      const auto whole = round(y) == y;
      const V odd = select(whole, select(round(halved) == halved, zero, one), zero);
      const V below = select(x == zero, one / x, x);
      const V any = select(below < zero, select(odd == zero, positive, neg(positive)), positive);
      const V root = select(zero - infinity < x, splat(std::numeric_limits<float>::quiet_NaN()), any);
      const V known = select(x < zero, select(whole, any, root), any);
      const V result = select(y == y, select(x == x, known, x), y);
      return select(y == zero, one, select(x == one, one, result));
    }
  }

  // The others are rare.
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
  static NALU_EXPORT_INLINE V sin(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::sin(static_cast<double>(v))); });
  }
  static NALU_EXPORT_INLINE V erf(const V& x) noexcept {
    return each_lane(x, [](T v) noexcept { return static_cast<T>(std::erf(static_cast<double>(v))); });
  }

  // From float to double and back.
  using F = typename vector_of<float, N>::type;
  static NALU_EXPORT_INLINE V widen(const F& x) noexcept {
#ifdef NALU_EXPORT_SIMD
    return __builtin_convertvector(x, V);
#else
    V r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = static_cast<double>(x[k]);
    return r;
#endif
  }
  static NALU_EXPORT_INLINE F narrow(const V& x) noexcept {
#ifdef NALU_EXPORT_SIMD
    return __builtin_convertvector(x, F);
#else
    F r{};
    for (std::size_t k = 0; k < N; ++k) r[k] = static_cast<float>(x[k]);
    return r;
#endif
  }
  // x^y in float64 to 2^-34 of it, for x of 0 to infinity that came from float32 and a result that goes there.
  static NALU_EXPORT_INLINE V power_in_float64(const V& x, const V& y) noexcept {
    const V infinity = splat(std::numeric_limits<double>::infinity());
    const V logarithm = select(x == splat(0.0), splat(0.0) - infinity, select(x < infinity, log2_of(x), x));
    return exp2_of(at_most(at_least(mul(y, logarithm), splat(-200.0)), splat(200.0)));
  }

 private:
  // x = n log 2 + r, |r| <= log 2 / 2, of which left is most and rest is what n log 2 leaves over.
  struct power {
    V shifted, n, left, rest;

    explicit NALU_EXPORT_INLINE power(const V& x) noexcept {
      // Adding 1.5*2^23 rounds to an integer, which is then in the low bits.
      const V magic = splat(0x1.8p23f);
      shifted = fma(x, splat(0x1.715476p0f), magic);
      n = shifted - magic;
      // log 2 in two parts, the first of which has so few bits that n times it is exact; so is what is left of x then.
      left = fma(n, splat(-0x1.62e4p-1f), x);
      rest = n * splat(-0x1.7f7d1cp-20f);
    }
    NALU_EXPORT_INLINE I whole() const noexcept { return cast<I>(cast<U>(shifted) - cast<U>(splat(0x1.8p23f))); }
    // exp(r) - 1 - left.
    NALU_EXPORT_INLINE V tail() const noexcept {
      const V r = fma(n, splat(-0x1.7f7d1cp-20f), left);
      // exp(r) = 1 + r + r^2 q(r), q by the Remez algorithm, its coefficients rounded one after the other.
      const V r2 = r * r;
      const V low = fma(splat(0x1.555492p-3f), r, splat(0x1.fffffcp-2f));
      const V high = fma(splat(0x1.12397cp-7f), r, splat(0x1.5558acp-5f));
      const V q = fma(fma(splat(0x1.6a511ap-10f), r2, high), r2, low);
      return fma(r2, q, rest);
    }
  };

  // x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for 2^-126 <= x < infinity.
  struct split {
    V k, f;

    explicit NALU_EXPORT_INLINE split(const V& x) noexcept {
      const U above = cast<U>(x) - splat(std::uint32_t(0x3f3504f3));
      const I exponent = cast<I>(above) >> splat(std::int32_t(23));
      f = cast<V>(cast<U>(x) - (cast<U>(exponent) << splat(std::uint32_t(23)))) - splat(1.0f);
      // The low bits of 1.5*2^23 + k hold k.
      k = cast<V>(cast<U>(exponent) + splat(std::uint32_t(0x4b400000))) - splat(0x1.8p23f);
    }
  };
  // k log 2 + log(1 + f) + more.
  static NALU_EXPORT_INLINE V log_of(const V& k, const V& f, const V& more) noexcept {
    // log(1 + f) = f - f^2/2 + f^3 q(f), q by the Remez algorithm, its coefficients rounded one after the other.
    const V f2 = f * f;
    const V f4 = f2 * f2;
    const V q0 = fma(splat(-0x1.000226p-2f), f, splat(0x1.555554p-2f));
    const V q1 = fma(splat(-0x1.54728ap-3f), f, splat(0x1.99a01cp-3f));
    const V q2 = fma(splat(-0x1.0d8242p-3f), f, splat(0x1.22d92ep-3f));
    const V q3 = fma(splat(-0x1.38c9dep-4f), f, splat(0x1.055ec6p-3f));
    const V q = fma(fma(q3, f2, q2), f4, fma(q1, f2, q0));
    // The largest term last: k times the high part of log 2, which is exact.
    const V tail = fma(f2, fma(f, q, splat(-0.5f)), fma(k, splat(-0x1.bd0106p-13f), more));
    return fma(k, splat(0x1.63p-1f), f + tail);
  }

  // x^y for x of 0 to infinity: y log2(x) may be 150, and its error is that of the result, so float64 in between.
  static NALU_EXPORT_INLINE V positive_power(const V& x, const V& y) noexcept {
    using D = simd<double, N / 2>;
    typename vectors<T, N / 2>::V v[2], w[2], power[2];
    std::memcpy(v, &x, sizeof v);
    std::memcpy(w, &y, sizeof w);
    for (std::size_t h = 0; h < 2; ++h) power[h] = D::narrow(D::power_in_float64(D::widen(v[h]), D::widen(w[h])));
    return cast<V>(power);
  }
  // In float64, to 2^-45 of it: log2(x) for 2^-1000 <= x < infinity.
  static NALU_EXPORT_INLINE V log2_of(const V& x) noexcept {
    using W = typename vector_of<std::uint64_t, N>::type;
    // x = 2^k m, sqrt(1/2) <= m < sqrt(2), with 1024 + k in the high bits so that no number here is negative.
    const W bits = cast<W>(x) + splat(std::uint64_t(0x400) << 52), shift = splat(std::uint64_t(52));
    const W above = (bits - splat(std::uint64_t(0x3fe6a09e667f3bcd))) >> shift;
    const V m = cast<V>(bits - (above << shift));
    const V k = cast<V>(above + splat(std::uint64_t(0x433) << 52)) - splat(0x1p52 + 1024.0);
    // log2(m) = s p(s^2) with s = (m - 1)/(m + 1), p by the Remez algorithm.
    const V s = (m - splat(1.0)) / (m + splat(1.0)), z = s * s;
    V p = fma(splat(0x1.21b0ea8285a4fp-2), z, splat(0x1.47955633069a1p-2));
    p = fma(p, z, splat(0x1.a61a2ec9e458bp-2));
    p = fma(p, z, splat(0x1.2776c2933e4d0p-1));
    p = fma(p, z, splat(0x1.ec709dc53c677p-1));
    p = fma(p, z, splat(0x1.71547652b8251p+1));
    return fma(s, p, k);
  }
  // In float64, to 2^-34 of it: 2^t for |t| <= 1000.
  static NALU_EXPORT_INLINE V exp2_of(const V& t) noexcept {
    using W = typename vector_of<std::uint64_t, N>::type;
    // t = n + r, |r| <= 1/2; 2^r by the Remez algorithm.
    const V magic = splat(0x1.8p52), shifted = t + magic, r = t - (shifted - magic);
    V p = fma(splat(0x1.fe1786b50da52p-17), r, splat(0x1.446a1fdd54f3ap-13));
    p = fma(p, r, splat(0x1.5d8a7085cddb8p-10));
    p = fma(p, r, splat(0x1.3b29dc40d2ec5p-7));
    p = fma(p, r, splat(0x1.c6b08aaf3156ep-5));
    p = fma(p, r, splat(0x1.ebfbe0a4be886p-3));
    p = fma(p, r, splat(0x1.62e42ff11627ap-1));
    p = fma(p, r, splat(0x1.ffffffffabbccp-1));
    return cast<V>(cast<W>(p) + (cast<W>(shifted) << splat(std::uint64_t(52))));
  }

  // p*2^n, rounded once; n as a number and as an integer.
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
    const I half = whole >> splat(std::int32_t(1));
    return mul(p * power_of_two(cast<U>(half)), power_of_two(cast<U>(whole) - cast<U>(half)));
  }
  static NALU_EXPORT_INLINE V power_of_two(const U& n) noexcept {
    return cast<V>((n + splat(std::uint32_t(127))) << splat(std::uint32_t(23)));
  }
};
