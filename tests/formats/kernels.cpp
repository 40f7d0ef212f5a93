// What tests/formats/cpp/test_kernels.py asks of the arithmetic of a header, alone.
#include "arithmetic.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace arithmetic;

constexpr std::size_t lanes_of_float = NALU_EXPORT_BYTES / sizeof(float);
using F = simd<float, lanes_of_float>;

float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// -- Every float

constexpr std::size_t chunk = 1024;
constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

struct Found {
  float worst = 0;
  float at = 0;
  // Floats at which the result is not the one that it has to be, and the first of them.
  unsigned long long wrong = 0;
  float first = 0;

  void see(float error, float x) {
    if (error > worst) worst = error, at = x;
  }
  void expect(bool right, float x) {
    if (!right && wrong++ == 0) first = x;
  }
  void add(const Found& other) {
    see(other.worst, other.at);
    if (wrong == 0) first = other.first;
    wrong += other.wrong;
  }
};

// The floats of a sign and an exponent, a chunk of their mantissas at a time.
struct Chunk {
  std::uint32_t sign, exponent, mantissa;

  float at(std::size_t i) const { return float_of(sign << 31 | exponent << 23 | (mantissa + static_cast<std::uint32_t>(i))); }
  // 2^power <= |x| < 2^(power + 1), where they are neither subnormal nor infinite.
  int power() const { return static_cast<int>(exponent) - 127; }
};

// Calls use(chunk, arguments, found) for all floats.
template <class Use>
Found over_every_float(Use use) {
  constexpr std::uint32_t workers = 2;
  Found found[workers];
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    threads.emplace_back([worker, &found, &use] {
      alignas(64) float x[chunk];
      // All exponents of one chunk of mantissas, so that what is known of these is at hand.
      for (std::uint32_t first = worker * chunk; first < (1u << 23); first += workers * chunk) {
        for (std::uint32_t both = 0; both < 512; ++both) {
          const Chunk at{both >> 8, both & 0xff, first};
          for (std::size_t i = 0; i < chunk; ++i) x[i] = at.at(i);
          use(at, x, found[worker]);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (std::uint32_t worker = 1; worker < workers; ++worker) found[0].add(found[worker]);
  return found[0];
}

template <class Function>
void apply_to_chunk(Function function, const float* x, float* y) {
  for (std::size_t i = 0; i < chunk; i += lanes_of_float) F::store(y + i, function(F::load(x + i)));
}

// Errors in units in the last place of what is expected, a float; infinity stands for 2^128.
void see_errors(const float* x, const float* y, const double* expected, Found& found) {
  alignas(64) float errors[chunk];
  for (std::size_t i = 0; i < chunk; ++i) {
    std::uint64_t bits;
    std::memcpy(&bits, expected + i, sizeof bits);
    bits &= std::uint64_t{0x7ff} << 52;
    double power;
    std::memcpy(&power, &bits, sizeof power);
    power *= 0x1p-23;
    const double ulp = power < 0x1p-149 ? 0x1p-149 : power;
    const double got = static_cast<double>(y[i]);
    errors[i] = static_cast<float>(std::fabs((got > 0x1p128 ? 0x1p128 : got) - expected[i]) / ulp);
  }
  // Floats that are not negative are in the order of their bits, and those of NaN come last.
  std::int32_t worst = 0;
  for (std::size_t i = 0; i < chunk; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, errors + i, sizeof bits);
    worst = bits > worst ? bits : worst;
  }
  float error;
  std::memcpy(&error, &worst, sizeof error);
  if (!(error <= found.worst)) {
    for (std::size_t i = 0; i < chunk; ++i) found.see(errors[i], x[i]), found.expect(errors[i] == errors[i], x[i]);
  }
}

// All results are one number, with its sign, or NaN.
void see_constant(const float* x, const float* y, float constant, Found& found) {
  std::int32_t wanted, different = 0;
  std::memcpy(&wanted, &constant, sizeof wanted);
  const bool none = std::isnan(constant);
  for (std::size_t i = 0; i < chunk; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, y + i, sizeof bits);
    different += none ? y[i] == y[i] : bits != wanted;
  }
  found.wrong += static_cast<unsigned long long>(different);
  if (different != 0) found.first = x[0];
}

// exp in float64 without a call, for -128 <= x <= 128; its relative error is some 2^-52.
inline double exp_of(double x) {
  constexpr double inverse_factorials[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                           1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                           1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5,
                                           1.0,              1.0};
  const double magic = 0x1.8p52;
  const double n = (x * 0x1.71547652b82fep0 + magic) - magic;
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  double sum = 0;
  for (const double coefficient : inverse_factorials) sum = sum * r + coefficient;
  const double biased = n + 1023.0 + magic;
  std::uint64_t bits;
  std::memcpy(&bits, &biased, sizeof bits);
  bits <<= 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

void see_exp(const Chunk& at, const float* x, Found& found) {
  alignas(64) float y[chunk];
  apply_to_chunk([](const F::V& v) { return F::exp(v); }, x, y);
  if (at.exponent == 255) {
    if (x[0] == (at.sign ? -inf : inf)) {
      found.expect(y[0] == (at.sign ? 0.0f : inf), x[0]);
      y[0] = nan;
    }
    return see_constant(x, y, nan, found);
  }
  if (at.power() < -26) return see_constant(x, y, 1.0f, found);
  if (at.power() > 6) return see_constant(x, y, at.sign ? 0.0f : inf, found);
  alignas(64) double expected[chunk];
  for (std::size_t i = 0; i < chunk; ++i) {
    const double exact = exp_of(static_cast<double>(x[i]));
    expected[i] = exact < 0x1p128 ? exact : 0x1p128;
  }
  const double library = std::exp(static_cast<double>(x[0]));
  found.expect(library > 0x1p128 || std::fabs(expected[0] - library) <= 0x1p-50 * library, x[0]);
  see_errors(x, y, expected, found);
}

// log(1 + m/2^23) for each m of a chunk: with it the logarithms of all exponents need no call.
struct Logarithms {
  std::uint32_t mantissa = 1;
  double values[chunk];

  void fit(const Chunk& at) {
    if (mantissa == at.mantissa) return;
    mantissa = at.mantissa;
    for (std::size_t i = 0; i < chunk; ++i) values[i] = std::log(static_cast<double>(Chunk{0, 127, mantissa}.at(i)));
  }
};

void see_log(const Chunk& at, const float* x, Found& found) {
  alignas(64) float y[chunk], of_normal[chunk];
  apply_to_chunk([](const F::V& v) { return F::log(v); }, x, y);
  apply_to_chunk([](const F::V& v) { return F::log_normal(v); }, x, of_normal);
  if (at.sign == 0 && at.exponent != 0) found.expect(std::memcmp(y, of_normal, sizeof y) == 0, x[0]);
  if (at.sign != 0 || at.exponent == 255) {
    if (x[0] == 0 || x[0] == inf) {
      found.expect(y[0] == (x[0] == 0 ? -inf : inf), x[0]);
      y[0] = nan;
    }
    return see_constant(x, y, nan, found);
  }
  static thread_local Logarithms known;
  known.fit(at);
  alignas(64) double expected[chunk];
  // Subnormal numbers are in no table, and below 1 the two terms would cancel.
  if (at.exponent == 0 || at.power() == -1) {
    for (std::size_t i = 0; i < chunk; ++i) expected[i] = std::log(static_cast<double>(x[i]));
  } else {
    for (std::size_t i = 0; i < chunk; ++i) expected[i] = at.power() * 0x1.62e42fefa39efp-1 + known.values[i];
  }
  if (x[0] == 0) {
    found.expect(y[0] == -inf, x[0]);
    y[0] = 0.0f, expected[0] = 0.0;
  }
  see_errors(x, y, expected, found);
}

// -- A part of the floats, and pairs of them, against the standard library in float64

using Unary = F::V (*)(const F::V&);
using Reference = double (*)(double);

// In units in the last place of a float; what has to be exact (zeros with their signs, infinities, NaN) is found wrong.
void see(float x, float got, double expected, Found& found) {
  if (std::isnan(expected) || std::isinf(expected) || expected == 0) {
    found.expect(std::isnan(expected) ? std::isnan(got)
                                      : double(got) == expected && std::signbit(got) == std::signbit(expected), x);
    return;
  }
  const double huge = 0x1p128, kept = std::fmin(std::fmax(double(got), -huge), huge);
  const double exact = std::fmin(std::fmax(expected, -huge), huge);
  const double ulp = std::ldexp(1.0, std::max(std::ilogb(exact) - 23, -149));
  const double error = std::fabs(kept - exact) / ulp;
  found.expect(error == error, x);
  found.see(static_cast<float>(error), x);
}

// Of every `step` floats of a sign and an exponent one, the first and the last among them.
Found over_many_floats(std::uint32_t step, Unary function, Reference reference) {
  Found found[2];
  std::vector<std::thread> threads;
  for (std::uint32_t sign = 0; sign < 2; ++sign) {
    threads.emplace_back([=, &found] {
      alignas(64) float x[chunk], y[chunk];
      for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
        for (std::uint32_t first = 0; first < 1u << 23; first += step * chunk) {
          for (std::uint32_t i = 0; i < chunk; ++i) {
            const std::uint32_t shift = i == 0 ? 0 : i == chunk - 1 ? step - 1 : (exponent * 7 + i * 5) % step;
            x[i] = float_of(sign << 31 | exponent << 23 | (first + i * step + shift));
          }
          apply_to_chunk(function, x, y);
          for (std::size_t i = 0; i < chunk; ++i) see(x[i], y[i], reference(static_cast<double>(x[i])), found[sign]);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  found[0].add(found[1]);
  return found[0];
}

// x^y for pairs: x of every size or near 1, y so that the result is anything from 0 to infinity, or a small integer.
Found over_many_pairs(std::uint32_t step) {
  Found found[2];
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([=, &found] {
      std::uint64_t state = worker + 1;
      const auto draw = [&state] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<double>(state >> 32) * 0x1p-32;
      };
      alignas(64) float x[chunk], y[chunk], z[chunk];
      for (std::uint32_t block = 0; block < (1u << 19) / step; ++block) {
        for (std::size_t i = 0; i < chunk; ++i) {
          const double near = 1 + (draw() - 0.5) * std::exp2(std::floor(draw() * 24) * -1);
          x[i] = static_cast<float>(block % 2 != 0 ? std::exp2(draw() * 276 - 149) : near);
          y[i] = static_cast<float>((draw() * 290 - 155) / std::log2(static_cast<double>(x[i])));
          if (block % 8 == 0) x[i] = -x[i], y[i] = std::nearbyint(y[i]);
        }
        for (std::size_t i = 0; i < chunk; i += lanes_of_float) F::store(z + i, F::pow(F::load(x + i), F::load(y + i)));
        for (std::size_t i = 0; i < chunk; ++i) {
          see(x[i], z[i], std::pow(static_cast<double>(x[i]), static_cast<double>(y[i])), found[worker]);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  found[0].add(found[1]);
  return found[0];
}

Found over_many(const std::string& name, std::uint32_t step) {
  if (name == "pow") return over_many_pairs(step);
  if (name == "expm1") return over_many_floats(step, [](const F::V& v) { return F::expm1(v); }, std::expm1);
  if (name == "log1p") return over_many_floats(step, [](const F::V& v) { return F::log1p(v); }, std::log1p);
  if (name == "sqrt") return over_many_floats(step, [](const F::V& v) { return F::sqrt(v); }, std::sqrt);
  if (name == "floor") return over_many_floats(step, [](const F::V& v) { return F::floor(v); }, std::floor);
  if (name == "ceil") return over_many_floats(step, [](const F::V& v) { return F::ceil(v); }, std::ceil);
  if (name == "round") return over_many_floats(step, [](const F::V& v) { return F::round(v); }, std::nearbyint);
  std::abort();
}

int tell(const Found& found) {
  std::printf("%.6f %a %llu %a\n", static_cast<double>(found.worst), static_cast<double>(found.at), found.wrong,
              static_cast<double>(found.first));
  return 0;
}

// -- Functions of numbers from stdin

template <class T>
std::vector<T> given() {
  std::vector<T> found;
  T values[4096];
  for (std::size_t count; (count = std::fread(values, sizeof(T), 4096, stdin)) != 0;) {
    found.insert(found.end(), values, values + count);
  }
  return found;
}

template <class T>
int put(const std::vector<T>& values) {
  return std::fwrite(values.data(), sizeof(T), values.size(), stdout) == values.size() ? 0 : 2;
}

template <class M, class T>
typename M::V apply(const std::string& name, const typename M::V& v, T low, T high) {
  if (name == "abs") return M::abs(v);
  if (name == "neg") return M::neg(v);
  if (name == "sign") return M::sign(v);
  if (name == "at_least") return M::at_least(v, M::splat(low));
  if (name == "at_most") return M::at_most(v, M::splat(high));
  if (name == "exp") return M::exp(v);
  if (name == "log") return M::log(v);
  if (name == "tanh") return M::tanh(v);
  if (name == "sinh") return M::sinh(v);
  if (name == "asinh") return M::asinh(v);
  if (name == "cos") return M::cos(v);
  if (name == "sin") return M::sin(v);
  if (name == "erf") return M::erf(v);
  if (name == "log1p") return M::log1p(v);
  if (name == "expm1") return M::expm1(v);
  if (name == "sqrt") return M::sqrt(v);
  if (name == "floor") return M::floor(v);
  if (name == "ceil") return M::ceil(v);
  if (name == "round") return M::round(v);
  if (name == "trunc") return M::trunc(v);
  if (name == "logical_not") return M::logical_not(v);
  std::abort();
}

template <class M>
typename M::V apply(const std::string& name, const typename M::V& v, const typename M::V& w) {
  if (name == "pow") return M::pow(v, w);
  if (name == "maximum") return M::maximum(v, w);
  if (name == "minimum") return M::minimum(v, w);
  if (name == "lt") return M::lt(v, w);
  if (name == "gt") return M::gt(v, w);
  if (name == "le") return M::le(v, w);
  if (name == "ge") return M::ge(v, w);
  if (name == "eq") return M::eq(v, w);
  if (name == "ne") return M::ne(v, w);
  if (name == "logical_and") return M::logical_and(v, w);
  if (name == "logical_or") return M::logical_or(v, w);
  if (name == "where") return M::where(v, w, v);
  std::abort();
}

// In vectors of each number of lanes, one of which a number is in.
template <class T>
int function(const std::string& name) {
  constexpr std::size_t native = NALU_EXPORT_BYTES / sizeof(T), narrow = 16 / sizeof(T);
  const std::vector<T> x = given<T>();
  std::vector<T> y(x.size());
  for (std::size_t i = 0; i + native <= x.size(); i += native) {
    using M = simd<T, native>;
    M::store(&y[i], apply<M>(name, M::load(&x[i]), T(-0.75), T(1.5)));
    for (std::size_t k = 0; k < native; k += narrow) {
      using N = simd<T, narrow>;
      T again[narrow];
      N::store(again, apply<N>(name, N::load(&x[i + k]), T(-0.75), T(1.5)));
      if (std::memcmp(again, &y[i + k], sizeof again) != 0) return 3;
    }
  }
  return put(y);
}

// Of the first half of the numbers with the second half.
template <class T>
int pairs(const std::string& name) {
  using M = simd<T, NALU_EXPORT_BYTES / sizeof(T)>;
  constexpr std::size_t native = NALU_EXPORT_BYTES / sizeof(T);
  const std::vector<T> both = given<T>();
  const std::size_t count = both.size() / 2;
  std::vector<T> y(count);
  for (std::size_t i = 0; i + native <= count; i += native) {
    M::store(&y[i], apply<M>(name, M::load(&both[i]), M::load(&both[count + i])));
  }
  return put(y);
}

// -- Sums and products of given sizes

// Weights (P of each input), then inputs (S of each); the sums of S samples of each of P outputs.
template <class T, std::size_t S, std::size_t P, std::size_t N>
void sums(const T*& from, std::vector<T>& to) {
  using R = tile<T, S, P>;
  typename R::V y[R::count];
  linear<T, S, P, N>(from, from + P * N, y);
  from += (P + S) * N;
  to.resize(to.size() + P * S);
  for (std::size_t k = 0; k < R::count; ++k) R::store(&to[to.size() - P * S], k, y[k]);
}

template <class T, std::size_t S, std::size_t P, std::size_t... N>
int sums_of(std::index_sequence<N...>) {
  const std::vector<T> numbers = given<T>();
  const T* from = numbers.data();
  std::vector<T> to;
  (sums<T, S, P, N>(from, to), ...);
  return from == numbers.data() + numbers.size() ? put(to) : 2;
}

template <class T, std::size_t P>
int sums_of_tile(bool many) {
  constexpr std::size_t samples = 2 * NALU_EXPORT_BYTES / sizeof(T);
  // Every number of inputs for one output, a few for more.
  const std::conditional_t<P == 1, std::index_sequence<SIZES>, std::index_sequence<WIDE_SIZES>> sizes;
  return many ? sums_of<T, samples, P>(sizes) : sums_of<T, 1, P>(sizes);
}

template <class T>
int sums_of_type(std::size_t width, bool many) {
  switch (width) {
    case 1: return sums_of_tile<T, 1>(many);
    case 2: return sums_of_tile<T, 2>(many);
    case 4: return sums_of_tile<T, 4>(many);
    case 8: return sums_of_tile<T, 8>(many);
    case 16: return sums_of_tile<T, 16>(many);
  }
  return 2;
}

// x[2][5][3] for 4 samples.
template <class T>
int products() {
  const std::vector<T> x = given<T>();
  std::vector<T> y(2 * 3 * 4);
  if (x.size() != 2 * 5 * 3 * 4) return 2;
  reduce<product_of, T, 4, 2, 5, 3>(x.data(), y.data());
  return put(y);
}

}  // namespace

int main(int count, char** words) {
  const std::string command = count > 1 ? words[1] : "", name = count > 2 ? words[2] : "";
  const bool wide = count > 3 && std::string(words[3]) == "float64";
  if (command == "lanes") return std::printf("%zu\n", lanes_of_float) < 0;
  if (command == "every") return tell(over_every_float(name == "exp" ? see_exp : see_log));
  if (command == "many" && count > 3) {
    return tell(over_many(name, static_cast<std::uint32_t>(std::strtoul(words[3], nullptr, 10))));
  }
  if (command == "function") return wide ? function<double>(name) : function<float>(name);
  if (command == "pairs") return wide ? pairs<double>(name) : pairs<float>(name);
  if (command == "product") return wide ? products<double>() : products<float>();
  if (command == "linear" && count > 4) {
    const std::size_t width = std::strtoul(words[2], nullptr, 10);
    const bool many = std::string(words[4]) == "many";
    return wide ? sums_of_type<double>(width, many) : sums_of_type<float>(width, many);
  }
  return 2;
}
