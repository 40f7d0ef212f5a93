// Golden files: inputs, what a right evaluation gives for them, and how far each output may be off.
//
// `nalu-export golden MODEL -o golden.bin` writes them. Little-endian, no padding:
//   "NALUGOLD", u32 version (1), u32 compute (32 or 64), 64 characters SHA-256 of the model's file,
//   u32 rank and u64 sizes of x, the same of y (the first size of both is the number of samples), then the arrays
//   x float32, reference float64, bound float64, unit float64, torch float32, accept u8, all but x of y's shape.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common.hpp"

namespace infer {

struct Golden {
    std::uint32_t compute;      // 32 or 64: the arithmetic type that the bounds are for
    std::string source_sha256;  // of the model's file that the export read
    Shape x_shape, y_shape;
    std::vector<float> x;
    std::vector<double> reference, bound;  // the model in float64, and how far a right output may be from it
    std::vector<double> unit;              // an error is E of these
    std::vector<float> torch;              // PyTorch's own float32, for those who want to compare with that
    std::vector<std::uint8_t> accept;      // what passes that is not a finite number, see Accept

    std::size_t samples() const { return static_cast<std::size_t>(x_shape[0]); }
};

/// A finite output passes within its bound, and where that is infinite; any other where Accept has its kind.
enum Accept : std::uint8_t { finite_only, nan_too, plus_infinity_too, minus_infinity_too, anything };

namespace detail {

/// The bytes of a golden file, taken from the front; none are taken that are not there.
class Bytes {
public:
    explicit Bytes(const std::string& path) : path_(path) {
        std::error_code error;
        if (!std::filesystem::is_regular_file(path, error)) throw damaged("is not a file");
        size_ = left_ = std::filesystem::file_size(path, error);
        file_.open(path, std::ios::binary);
        if (error || !file_) throw damaged("cannot be read");
    }

    template <class T>
    std::vector<T> take(std::size_t count) {
        if (count > left_ / sizeof(T)) throw damaged("is cut off after " + std::to_string(size_) + " bytes");
        std::vector<T> values(count);
        left_ -= count * sizeof(T);
        file_.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
        if (!file_) throw damaged("cannot be read to its end");
        return values;
    }

    template <class T>
    T one() {
        return take<T>(1)[0];
    }

    Shape shape(const std::string& name) {
        const auto rank = one<std::uint32_t>();
        if (rank < 1 || rank > max_rank) {
            throw damaged("says that " + name + " has rank " + std::to_string(rank) + "; 1 to 16 is expected");
        }
        return take<std::uint64_t>(rank);
    }

    Failure damaged(const std::string& what) const { return Failure(bad_input, path_ + " " + what); }
    std::uint64_t left() const { return left_; }

private:
    std::string path_;
    std::ifstream file_;
    std::uint64_t size_ = 0, left_ = 0;
};

inline bool is_sha256(const std::string& text) {
    return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace detail

/// Read a golden file. Whatever is in it: it is read whole and consistent, or a Failure says what is wrong.
inline Golden read_golden(const std::string& path) {
    detail::Bytes file(path);
    const auto magic = file.left() < 8 ? std::vector<char>(8) : file.take<char>(8);
    if (std::memcmp(magic.data(), "NALUGOLD", 8) != 0) {
        throw file.damaged("is not a golden file; make one with: nalu-export golden MODEL -o golden.bin");
    }
    if (const auto version = file.one<std::uint32_t>(); version != 1) {
        throw file.damaged("is a golden file of version " + std::to_string(version) + "; this program reads version 1");
    }
    Golden golden;
    golden.compute = file.one<std::uint32_t>();
    if (golden.compute != 32 && golden.compute != 64) {
        throw file.damaged("says compute " + std::to_string(golden.compute) + "; 32 or 64 is expected");
    }
    const auto sha = file.take<char>(64);
    golden.source_sha256.assign(sha.begin(), sha.end());
    if (!detail::is_sha256(golden.source_sha256)) throw file.damaged("holds no SHA-256 of its model");
    golden.x_shape = file.shape("x");
    golden.y_shape = file.shape("y");
    if (golden.x_shape[0] != golden.y_shape[0]) {
        throw file.damaged("holds " + std::to_string(golden.x_shape[0]) + " inputs and " +
                           std::to_string(golden.y_shape[0]) + " outputs");
    }
    const auto inputs = elements(golden.x_shape, path), outputs = elements(golden.y_shape, path);
    const auto due = 4 * std::uint64_t{inputs} + (3 * 8 + 4 + 1) * std::uint64_t{outputs};
    if (due != file.left()) {
        throw file.damaged("is damaged: " + std::to_string(file.left()) + " bytes of numbers, its shapes need " +
                           std::to_string(due));
    }
    golden.x = file.take<float>(inputs);
    golden.reference = file.take<double>(outputs);
    golden.bound = file.take<double>(outputs);
    golden.unit = file.take<double>(outputs);
    golden.torch = file.take<float>(outputs);
    golden.accept = file.take<std::uint8_t>(outputs);
    for (const auto accept : golden.accept) {
        if (accept > anything) throw file.damaged("says accept " + std::to_string(accept) + "; 0 to 4 is expected");
    }
    return golden;
}

/// What a comparison found. Errors over the bound are mismatches, whatever the other figures are.
struct Comparison {
    std::size_t outputs = 0, mismatches = 0;
    std::int64_t max_ulp = 0;  // from the reference rounded to float32, in float32 steps
    double max_e = 0;          // |output - reference| / unit
    double worst = -1;         // |output - reference| / bound
    std::string where;         // of the worst output
};

namespace detail {

/// float32 numbered in their order, so that neighbours differ by 1 and -0 equals +0.
inline std::int64_t ordered(float value) {
    std::int32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? -std::int64_t{bits & 0x7FFFFFFF} : bits;
}

inline bool is_accepted(float out, std::uint8_t accept) {
    if (std::isnan(out)) return accept == nan_too || accept == anything;
    return accept == (out > 0 ? plus_infinity_too : minus_infinity_too) || accept == anything;
}

inline double over(double error, double of) { return error == 0 ? 0 : error / of; }  // 0 / 0 is no error

inline std::string format(const char* pattern, double a) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), pattern, a);
    return text.data();
}

inline std::string expectation(const Golden& golden, std::size_t index) {
    switch (golden.accept[index]) {
        case nan_too: return "NaN";
        case plus_infinity_too: return "inf";
        case minus_infinity_too: return "-inf";
        default: return format("%.9g", golden.reference[index]) + " ± " + format("%.3g", golden.bound[index]);
    }
}

}  // namespace detail

/// Compare outputs of all samples with a golden file; `how` says how they were made.
inline void compare(const Golden& golden, const std::vector<float>& out, const std::string& how, Comparison& found) {
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    const auto width = golden.accept.size() / golden.samples();
    found.outputs = out.size();
    for (std::size_t index = 0; index < out.size(); ++index) {
        const auto reference = golden.reference[index], bound = golden.bound[index];
        double worst = 0;
        if (!std::isfinite(out[index])) {
            worst = detail::is_accepted(out[index], golden.accept[index]) ? 0 : infinity;
        } else if (bound != infinity) {
            const auto error = std::abs(double{out[index]} - reference);
            worst = detail::over(error, bound);
            if (std::isnan(worst)) worst = infinity;
            if (const auto rounded = static_cast<float>(reference); std::isfinite(rounded)) {
                const auto steps = detail::ordered(out[index]) - detail::ordered(rounded);
                found.max_ulp = std::max(found.max_ulp, steps < 0 ? -steps : steps);
                found.max_e = std::max(found.max_e, detail::over(error, golden.unit[index]));
            }
        }
        if (worst > 1) ++found.mismatches;
        if (worst > found.worst) {
            found.worst = worst;
            found.where = how + ", sample " + std::to_string(index / width) + ", output " +
                          std::to_string(index % width) + " is " + detail::format("%.9g", out[index]) + ", expected " +
                          detail::expectation(golden, index);
        }
    }
}

using Run = std::function<Tensor(const Tensor&)>;

/// All samples through `run`, `size` at a time.
inline std::vector<float> in_batches(const Golden& golden, std::size_t size, const Run& run) {
    const auto step = golden.x.size() / golden.samples();
    std::vector<float> out;
    for (std::size_t start = 0; start < golden.samples(); start += size) {
        const auto count = std::min(size, golden.samples() - start);
        Tensor batch{golden.x_shape, {}};
        batch.shape[0] = count;
        const auto first = golden.x.begin() + static_cast<std::ptrdiff_t>(start * step);
        batch.data.assign(first, first + static_cast<std::ptrdiff_t>(count * step));
        auto want = golden.y_shape;
        want[0] = count;
        const auto result = run(batch);
        if (result.shape != want) {
            throw Failure(mismatch, "a batch of " + text_of(batch.shape) + " gives " + text_of(result.shape) +
                                        ", expected " + text_of(want));
        }
        out.insert(out.end(), result.data.begin(), result.data.end());
    }
    return out;
}

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

/// How many outputs have no bound: something on the way to them overflows, and float32 determines no digit of them.
inline std::size_t undetermined(const Golden& golden) {
    const auto unbounded = [](double bound) { return std::isinf(bound); };
    return static_cast<std::size_t>(std::count_if(golden.bound.begin(), golden.bound.end(), unbounded));
}

/// Run a golden file's samples in batches of 1, 7 and --batch (or all), print one line, and give the exit code.
inline int verify(const Golden& golden, const Options& options, const std::string& who, const Run& run) {
    const auto free = undetermined(golden);
    if (free == golden.accept.size()) {
        const auto count = std::to_string(free);
        throw Failure(mismatch, options.golden + " determines none of its " + count + " outputs; nothing was compared");
    }
    Comparison found;
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, options.batch ? options.batch : golden.samples()}) {
        compare(golden, in_batches(golden, size, run), "batches of " + std::to_string(size), found);
    }
    const auto left_out = free ? " (" + std::to_string(free) + " undetermined)" : "";
    std::printf("%s: %zu samples, %zu outputs%s, max ULP %lld, max E %.3g, worst %.3g of its bound: %s\n", who.c_str(),
                golden.samples(), found.outputs, left_out.c_str(), static_cast<long long>(found.max_ulp), found.max_e,
                found.worst, found.mismatches ? "failed" : "passed");
    if (found.mismatches) {
        std::printf("%zu of %zu outputs are wrong; worst: %s\n", found.mismatches, 3 * found.outputs,
                    found.where.c_str());
    }
    return found.mismatches ? mismatch : passed;
}

}  // namespace infer
