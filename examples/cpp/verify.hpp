// A golden file's samples through a model, batch after batch, and each number held to its bound.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "golden.hpp"

namespace infer {

/// What a comparison found. Errors over the bound are mismatches, whatever the other figures are.
struct Comparison {
    std::size_t compared = 0, mismatches = 0;
    std::int64_t max_ulp = 0;  // from the reference rounded to the output's type, in its steps
    double max_e = 0;          // |output - reference| / unit
    double worst = -1;         // |output - reference| / bound
    std::string where;         // of the worst output
};

namespace detail {

constexpr auto infinity = std::numeric_limits<double>::infinity();

/// Numbers of a type numbered in their order, so that neighbours differ by 1 and -0 equals +0.
inline std::int64_t ordered(float value) {
    std::int32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? -std::int64_t{bits & 0x7FFFFFFF} : bits;
}

inline std::int64_t ordered(double value) {
    std::int64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? -(bits & std::numeric_limits<std::int64_t>::max()) : bits;
}

/// Both are numbers of any sign, so that a difference may need one bit more.
inline std::int64_t distance(std::int64_t a, std::int64_t b) {
    const auto most = std::numeric_limits<std::int64_t>::max();
    const auto low = std::min(a, b), high = std::max(a, b);
    return low < 0 && high > most + low ? most : high - low;
}

inline bool is_accepted(double out, std::uint8_t accept) {
    if (std::isnan(out)) return accept == nan_too || accept == anything;
    return accept == (out > 0 ? plus_infinity_too : minus_infinity_too) || accept == anything;
}

inline double over(double error, double of) { return error == 0 ? 0 : error / of; }  // 0 / 0 is no error

inline std::string format(const char* pattern, double a) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), pattern, a);
    return text.data();
}

inline std::string shown(float value) { return format("%.9g", double{value}); }
inline std::string shown(double value) { return format("%.17g", value); }
inline std::string shown(std::int64_t value) { return std::to_string(value); }

inline std::string expectation(const GoldenOutput& golden, std::size_t index) {
    if (golden.whole()) return format("%.17g", golden.reference[index]);
    switch (golden.accept[index]) {
        case nan_too: return "NaN";
        case plus_infinity_too: return "inf";
        case minus_infinity_too: return "-inf";
        default: return format("%.9g", golden.reference[index]) + " ± " + format("%.3g", golden.bound[index]);
    }
}

/// The error of a float over its bound; past 1 it is wrong.
template <class T>
double judge(T out, const GoldenOutput& golden, std::size_t index, Comparison& found) {
    const auto reference = golden.reference[index], bound = golden.bound[index];
    if (!std::isfinite(out)) return is_accepted(out, golden.accept[index]) ? 0 : infinity;
    if (bound == infinity) return 0;
    const auto error = std::abs(double{out} - reference);
    if (const auto rounded = static_cast<T>(reference); std::isfinite(rounded)) {
        found.max_ulp = std::max(found.max_ulp, distance(ordered(out), ordered(rounded)));
        found.max_e = std::max(found.max_e, over(error, golden.unit[index]));
    }
    const auto worst = over(error, bound);
    return std::isnan(worst) ? infinity : worst;
}

/// An integer or a truth value is right or wrong. A reference that is no int64 is none that it can be.
inline double judge(std::int64_t out, const GoldenOutput& golden, std::size_t index, Comparison&) {
    constexpr double end = 9223372036854775808.0;
    const auto reference = golden.reference[index];
    if (golden.bound[index] == infinity) return 0;
    const bool is_whole = reference >= -end && reference < end && reference == std::floor(reference);
    return is_whole && static_cast<std::int64_t>(reference) == out ? 0 : infinity;
}

/// "sample 5, output 0", or with the name of the output where there are several.
inline std::string place_of(const GoldenOutput& golden, std::size_t index, std::size_t samples, bool alone) {
    const auto width = golden.shared ? golden.size() : golden.size() / samples;
    const auto within = std::to_string(index % width);
    return (golden.shared ? "" : "sample " + std::to_string(index / width) + ", ") + "output " +
           (alone ? within : golden.name + "[" + within + "]");
}

}  // namespace detail

/// Compares batches with a golden file.
class Comparer {
public:
    explicit Comparer(const Golden& golden) : golden_(golden) {}

    /// The outputs of samples from `first` on; `how` says how they were made.
    void compare(const Tensors& outputs, std::size_t first, const std::string& how) {
        for (std::size_t number = 0; number < outputs.size(); ++number) {
            const auto& expected = golden_.outputs[number];
            const auto& out = outputs[number];
            const auto start = expected.shared ? 0 : first * (expected.size() / golden_.samples());
            switch (out.type) {
                case Type::float32: compare<float, float>(out, expected, start, how); break;
                case Type::float64: compare<double, double>(out, expected, start, how); break;
                case Type::int32: compare<std::int32_t, std::int64_t>(out, expected, start, how); break;
                case Type::int64: compare<std::int64_t, std::int64_t>(out, expected, start, how); break;
                case Type::boolean: compare<std::uint8_t, std::int64_t>(out, expected, start, how); break;
            }
        }
    }

    const Comparison& found() const { return found_; }

private:
    /// Numbers of type T, judged as J.
    template <class T, class J>
    void compare(const Tensor& out, const GoldenOutput& expected, std::size_t start, const std::string& how) {
        const auto count = out.data.size() / sizeof(T);
        for (std::size_t at = 0; at < count; ++at) {
            const auto index = start + at;
            const J value = out.as<T>()[at];
            const auto worst = detail::judge(value, expected, index, found_);
            ++found_.compared;
            if (worst > 1) ++found_.mismatches;
            if (worst > found_.worst) {
                found_.worst = worst;
                found_.where = how + ", " +
                               detail::place_of(expected, index, golden_.samples(), golden_.outputs.size() == 1) +
                               " is " + detail::shown(value) + ", expected " + detail::expectation(expected, index);
            }
        }
    }

    const Golden& golden_;
    Comparison found_;
};

/// One batch: tensors in the golden file's order, in and out.
using Run = std::function<Tensors(const Tensors&)>;

namespace detail {

/// Some samples of every input.
inline Tensors batch_of(const Golden& golden, std::size_t first, std::size_t count) {
    Tensors batch;
    for (const auto& [name, all] : golden.inputs) {
        const auto step = all.data.size() / golden.samples();
        const auto start = all.data.begin() + static_cast<std::ptrdiff_t>(first * step);
        batch.push_back({all.type, all.shape, {start, start + static_cast<std::ptrdiff_t>(count * step)}});
        batch.back().shape[0] = count;
    }
    return batch;
}

/// Refuse outputs of another number, type or shape than the golden file has.
inline void check_shapes(const Golden& golden, const Tensors& batch, const Tensors& outputs) {
    const auto start = "a batch of " + text_of(batch) + " gives ";
    if (outputs.size() != golden.outputs.size()) {
        throw Failure(mismatch, start + std::to_string(outputs.size()) + " outputs, expected " +
                                    std::to_string(golden.outputs.size()));
    }
    for (std::size_t number = 0; number < outputs.size(); ++number) {
        const auto& expected = golden.outputs[number];
        const auto& found = outputs[number];
        const auto name = outputs.size() == 1 ? "" : "output " + expected.name + " as ";
        if (found.type != expected.torch.type) {
            throw Failure(mismatch, start + name + text_of(found.type) + ", expected " + text_of(expected.torch.type));
        }
        auto want = expected.shape();
        if (!expected.shared) want[0] = batch[0].shape[0];
        if (found.shape != want) {
            throw Failure(mismatch, start + name + text_of(found.shape) + ", expected " + text_of(want));
        }
    }
}

/// All samples through `run`, `size` at a time.
inline void in_batches(const Golden& golden, std::size_t size, const Run& run, Comparer& comparer) {
    for (std::size_t first = 0; first < golden.samples(); first += size) {
        const auto batch = batch_of(golden, first, std::min(size, golden.samples() - first));
        const auto outputs = run(batch);
        check_shapes(golden, batch, outputs);
        comparer.compare(outputs, first, "batches of " + std::to_string(size));
    }
}

}  // namespace detail

/// Refuse a golden file of another model, or one whose bounds are for arithmetic of another type.
inline void check_origin(const Golden& golden, const Options& options, const Texts& metadata) {
    const auto sha = value_of(metadata, "source_sha256"), compute = value_of(metadata, "compute");
    if (sha.empty() || compute.empty()) {
        throw Failure(bad_input, options.model + " does not say what it was exported from; export it with nalu-export");
    }
    if (sha != golden.source_sha256) {
        throw Failure(bad_input, options.golden + " is of the model with sha256 " + golden.source_sha256 + ", " +
                                     options.model + " of " + one_line(sha));
    }
    if (const auto want = "float" + std::to_string(golden.compute); compute != want) {
        throw Failure(bad_input, options.golden + " is for --compute " + want + ", " + options.model + " computes in " +
                                     one_line(compute));
    }
}

/// Run a golden file's samples in batches of 1, 7 and --batch (or all), print one line, and give the exit code.
inline int verify(const Golden& golden, const Options& options, const std::string& who, const Run& run) {
    std::size_t all = 0, free = 0;  // free: something on the way overflows, and the type determines no digit of them
    for (const auto& output : golden.outputs) {
        all += output.size();
        free += static_cast<std::size_t>(std::count(output.bound.begin(), output.bound.end(), detail::infinity));
    }
    if (free == all) {
        const auto count = std::to_string(free);
        throw Failure(mismatch, options.golden + " determines none of its " + count + " outputs; nothing was compared");
    }
    Comparer comparer(golden);
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, options.batch ? options.batch : golden.samples()}) {
        detail::in_batches(golden, size, run, comparer);
    }
    const auto& found = comparer.found();
    const auto left_out = free ? " (" + std::to_string(free) + " undetermined)" : "";
    std::printf("%s: %zu samples, %zu outputs%s, max ULP %lld, max E %.3g, worst %.3g of its bound: %s\n", who.c_str(),
                golden.samples(), all, left_out.c_str(), static_cast<long long>(found.max_ulp), found.max_e,
                found.worst, found.mismatches ? "failed" : "passed");
    if (found.mismatches) {
        std::printf("%zu of %zu outputs are wrong; worst: %s\n", found.mismatches, found.compared, found.where.c_str());
    }
    return found.mismatches ? mismatch : passed;
}

}  // namespace infer
