// The floor: how long this processor takes for one exp, one log and one multiply-add in loops over data in its first
// cache, with vectors by hand. A call is one number. Where there are no such vectors it says "none" of itself.
//
// exp and log have no special cases: finite results of normal arguments only. Their polynomials are minimax fits whose
// own relative error is below one roundoff of float32, 2^-24.
#include "vectors.hpp"

#include <array>
#include <cmath>

#include "timings.hpp"

namespace {

#ifdef FLOOR_ISA

using vectors::across;
using vectors::fma;
using vectors::lanes;
using vectors::rows;
using vectors::splat;
using vectors::V;

/// c0 + c1 x + ... by Horner's rule: the fewest multiply-adds, and many vectors are under way at once.
template <std::size_t N>
V polynomial(const std::array<float, N>& c, V x) {
    V sum = splat(c[N - 1]);
    for (std::size_t k = N - 1; k-- > 0;) sum = fma(sum, x, splat(c[k]));
    return sum;
}

/// exp x = 2^n exp r with |r| up to log(2)/2.
V exp_of(V x) {
    constexpr std::array<float, 7> c{1.0f,           1.0f,           0.49999994f, 0.16666521f,
                                     0.041668389f, 0.0083687166f, 0.0013814599f};
    // Added and taken away again, this leaves the nearest integer, whose bits stand at the end of the sum.
    const V shift = splat(12582912.0f);
    const V shifted = fma(x, splat(1.44269504f), shift);
    const V n = vectors::sub(shifted, shift);
    // log 2 in two parts, the first with so few bits that its product with n is exact.
    const V r = vectors::fnma(n, splat(1.42860677e-6f), vectors::fnma(n, splat(0.693145752f), x));
    return vectors::times_power(polynomial(c, r), shifted);
}

/// log x = e log 2 + log(1 + f) with |f| up to 1/3.
V log_of(V x) {
    constexpr std::array<float, 8> c{-0.49999940f, 0.33333105f,  -0.25007600f, 0.20016061f,
                                     -0.16419354f, 0.13920900f, -0.15372719f, 0.14374221f};
    V m, e;
    vectors::split(x, m, e);
    const V f = vectors::sub(m, splat(1.0f));
    return fma(e, splat(0.69314718f), fma(vectors::mul(f, f), polynomial(c, f), f));
}

/// Loops over 8 KiB in and 8 KiB out, and the product of two matrices of at most 16 KiB.
class Floor final : public timings::Program {
public:
    explicit Floor(const std::vector<std::string>&) {
        for (std::size_t k = 0; k < numbers; ++k) {
            const double at = (static_cast<double>(k) + 0.5) / numbers;
            exponents_[k] = static_cast<float>(160.0 * at - 80.0);
            // Half of them around 1, where log has to be exact near 0.
            positive_[k] = static_cast<float>(k % 2 ? 0.5 + at : std::exp(160.0 * at - 80.0));
        }
        for (std::size_t k = 0; k < x_.size(); ++k) x_[k] = static_cast<float>(std::sin(0.1 + static_cast<double>(k)));
        for (std::size_t k = 0; k < w_.size(); ++k) w_[k] = static_cast<float>(std::cos(0.1 + static_cast<double>(k)));
    }

    /// The instruction set, then outputs, inputs and samples of the product.
    std::string about() const override {
        return FLOOR_ISA " " + std::to_string(rows) + ' ' + std::to_string(inputs) + ' ' + std::to_string(samples);
    }

    double seconds(const std::string& what, long calls) override {
        if (what == "exp") return seconds_per_number(calls, numbers, [&] { map(exponents_, exp_of); });
        if (what == "log") return seconds_per_number(calls, numbers, [&] { map(positive_, log_of); });
        if (what == "fma") return seconds_per_number(calls, products, [&] { multiply(); });
        throw std::runtime_error("no such loop: " + what);
    }

    /// The arguments, then the results; of "fma" the two factors, input by input, then their product.
    std::vector<float> results(const std::string& what) override {
        seconds(what, 1);
        if (what == "exp") return joined(exponents_, y_);
        if (what == "log") return joined(positive_, y_);
        return joined(x_, w_, sums_);
    }

private:
    static constexpr std::size_t numbers = 2048, inputs = 128, samples = across * lanes;
    static constexpr std::size_t products = inputs * rows * samples;

    template <class Pass>
    static double seconds_per_number(long calls, std::size_t at_once, Pass&& pass) {
        const long passes = calls / static_cast<long>(at_once) + 1;
        return timings::seconds_per_call(passes, pass) / static_cast<double>(at_once);
    }

    template <class... Arrays>
    static std::vector<float> joined(const Arrays&... arrays) {
        std::vector<float> all;
        (all.insert(all.end(), arrays.begin(), arrays.end()), ...);
        return all;
    }

    template <class Function>
    void map(const std::array<float, numbers>& x, Function function) {
        for (std::size_t k = 0; k < numbers; k += lanes) vectors::store(&y_[k], function(vectors::load(&x[k])));
        timings::keep(y_.data());
    }

    /// sums[row][sample] = the sum over i of w[i][row] x[i][sample], all of them in registers.
    void multiply() {
        V sum[rows][across];
        for (auto& row : sum) {
            for (auto& vector : row) vector = splat(0.0f);
        }
        for (std::size_t i = 0; i < inputs; ++i) {
            V values[across];
            for (std::size_t k = 0; k < across; ++k) values[k] = vectors::load(&x_[i * samples + k * lanes]);
            for (std::size_t row = 0; row < rows; ++row) {
                const V weight = splat(w_[i * rows + row]);
                for (std::size_t k = 0; k < across; ++k) sum[row][k] = fma(weight, values[k], sum[row][k]);
            }
        }
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t k = 0; k < across; ++k) vectors::store(&sums_[row * samples + k * lanes], sum[row][k]);
        }
        timings::keep(sums_.data());
    }

    alignas(64) std::array<float, numbers> exponents_{}, positive_{}, y_{};
    alignas(64) std::array<float, inputs * samples> x_{};
    alignas(64) std::array<float, inputs * rows> w_{};
    alignas(64) std::array<float, rows * samples> sums_{};
};

#else

class Floor final : public timings::Program {
public:
    explicit Floor(const std::vector<std::string>&) {}
    std::string about() const override { return "none"; }
    double seconds(const std::string&, long) override { throw std::runtime_error("no vectors"); }
    std::vector<float> results(const std::string&) override { throw std::runtime_error("no vectors"); }
};

#endif

}  // namespace

int main(int argc, char** argv) { return timings::serve<Floor>(argc, argv); }
