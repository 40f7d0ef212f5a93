// Golden files: inputs, what a right evaluation gives for them, and how far each output may be off.
//
// `nalu-export golden MODEL -o golden.bin` writes them. Little-endian, no padding:
//   "NALUGOLD", u32 version (2), u32 compute (32 or 64), 64 characters SHA-256 of the model's file,
//   u32 number of inputs, u32 number of outputs,
//   each input:   u32 length and UTF-8 of its name, u32 type, u32 rank and u64 sizes, of which the first is the samples
//   each output:  the same, with u32 shared (0 or 1) after the type; one that is shared has no axis of samples
//   u32 number of assumptions; each: u32 length and UTF-8 of a line on what the model's file does not say
//   each input:   its numbers
//   each output:  reference float64, bound float64, unit float64, torch of its own type, accept u8
// Version 1 has one input and one output of float32: u32 rank and u64 sizes of both instead of numbers and names.
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common.hpp"

namespace infer {

/// One input, with all samples.
struct GoldenInput {
    std::string name;
    Tensor tensor;
};

struct GoldenOutput {
    std::string name;
    bool shared = false;                   // the same for all samples, without an axis of them
    std::vector<double> reference, bound;  // the model in float64, and how far a right output may be from it
    std::vector<double> unit;              // an error is E of these
    Tensor torch;                          // PyTorch's own, in the output's type and shape
    std::vector<std::uint8_t> accept;      // what passes that is not a finite number, see Accept

    const Shape& shape() const { return torch.shape; }
    std::size_t size() const { return reference.size(); }
    bool whole() const { return torch.type != Type::float32 && torch.type != Type::float64; }
};

struct Golden {
    std::uint32_t compute;      // 32 or 64: the arithmetic type that the bounds are for
    std::string source_sha256;  // of the model's file that the export read
    std::vector<GoldenInput> inputs;
    std::vector<GoldenOutput> outputs;
    std::vector<std::string> assumptions;  // what decides what the model computes and is not in its file

    std::size_t samples() const { return static_cast<std::size_t>(inputs[0].tensor.shape[0]); }
};

/// A finite float passes within its bound, and where that is infinite; any other where Accept has its kind. An integer
/// or a truth value passes where it is the reference, and where the bound is infinite.
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

    std::uint32_t number() { return take<std::uint32_t>(1)[0]; }

    /// One from low to high.
    std::uint32_t number(const std::string& what, std::uint32_t low, std::uint32_t high) {
        const auto found = number();
        if (found < low || found > high) {
            throw damaged("says that " + what + " is " + std::to_string(found) + "; " + std::to_string(low) + " to " +
                          std::to_string(high) + " is expected");
        }
        return found;
    }

    Shape shape(const std::string& name, bool shared = false) {
        const auto rank = number();
        if (rank < (shared ? 0 : 1) || rank > max_rank) {
            throw damaged("says that " + name + " has rank " + std::to_string(rank) + "; " + (shared ? "0" : "1") +
                          " to 16 is expected");
        }
        return take<std::uint64_t>(rank);
    }

    std::string name(const std::string& kind) {
        return text("the length of an " + kind + "'s name", 255, "has an " + kind + " whose name cannot be printed");
    }

    std::string assumption() { return text("the length of an assumption", 1023, "has an assumption that cannot be printed"); }

    std::string text(const std::string& what, std::uint32_t most, const std::string& refusal) {
        const auto found = take<char>(number(what, 1, most));
        for (const auto character : found) {
            if (static_cast<unsigned char>(character) < 32 || character == 127) throw damaged(refusal);
        }
        return {found.begin(), found.end()};
    }

    Failure damaged(const std::string& what) const { return Failure(bad_input, path_ + " " + what); }
    std::uint64_t left() const { return left_; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    std::ifstream file_;
    std::uint64_t size_ = 0, left_ = 0;
};

inline bool is_sha256(const std::string& text) {
    return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

template <class Values>
void refuse_repeated(const Bytes& file, const Values& values, const std::string& kind) {
    for (auto value = values.begin(); value != values.end(); ++value) {
        for (auto other = values.begin(); other != value; ++other) {
            if (other->name == value->name) throw file.damaged("has two " + kind + "s of the name " + value->name);
        }
    }
}

/// Names, types and shapes of version 2.
inline void read_head(Bytes& file, Golden& golden) {
    golden.inputs.resize(file.number("the number of inputs", 1, max_values));
    golden.outputs.resize(file.number("the number of outputs", 1, max_values));
    for (auto& [name, tensor] : golden.inputs) {
        name = file.name("input");
        tensor.type = static_cast<Type>(file.number("the type of input " + name, 1, types));
        tensor.shape = file.shape("input " + name);
    }
    for (auto& output : golden.outputs) {
        output.name = file.name("output");
        output.torch.type = static_cast<Type>(file.number("the type of output " + output.name, 1, types));
        output.shared = file.number("shared of output " + output.name, 0, 1) == 1;
        output.torch.shape = file.shape("output " + output.name, output.shared);
    }
    refuse_repeated(file, golden.inputs, "input");
    refuse_repeated(file, golden.outputs, "output");
    golden.assumptions.resize(file.number("the number of assumptions", 0, 16));
    for (auto& assumption : golden.assumptions) assumption = file.assumption();
}

/// The same of version 1, which has no names.
inline void read_head_of_version_1(Bytes& file, Golden& golden) {
    golden.inputs.resize(1);
    golden.outputs.resize(1);
    golden.inputs[0].name = "input";
    golden.outputs[0].name = "output";
    golden.inputs[0].tensor.shape = file.shape("input input");
    golden.outputs[0].torch.shape = file.shape("output output");
}

inline void check_samples(const Bytes& file, const Golden& golden, const std::string& what, std::uint64_t count) {
    if (count == golden.samples()) return;
    throw file.damaged("holds " + std::to_string(golden.samples()) + " samples of input " + golden.inputs[0].name +
                       " and " + std::to_string(count) + " of " + what);
}

/// Refuse shapes that do not fit each other, or not the file: from here on there is memory for all of it.
inline void check_sizes(const Bytes& file, const Golden& golden) {
    std::uint64_t due = 0;  // at most 64 * 2^34 * (8 + 33)
    for (const auto& [name, tensor] : golden.inputs) {
        check_samples(file, golden, "input " + name, tensor.shape[0]);
        due += elements(tensor.shape, file.path()) * size_of(tensor.type);
    }
    for (const auto& output : golden.outputs) {
        if (!output.shared) check_samples(file, golden, "output " + output.name, output.shape()[0]);
        due += elements(output.shape(), file.path()) * (3 * 8 + size_of(output.torch.type) + 1);
    }
    if (due != file.left()) {
        throw file.damaged("is damaged: " + std::to_string(file.left()) + " bytes of numbers, its shapes need " +
                           std::to_string(due));
    }
}

inline void read_numbers(Bytes& file, Tensor& tensor, const std::string& what) {
    tensor.data = file.take<unsigned char>(elements(tensor.shape, file.path()) * size_of(tensor.type));
    if (tensor.type != Type::boolean) return;
    for (const auto truth : tensor.data) {
        if (truth > 1) throw file.damaged("has truth values in " + what + " that are neither 0 nor 1");
    }
}

inline void read_output(Bytes& file, GoldenOutput& output) {
    const auto count = elements(output.shape(), file.path());
    const auto what = "output " + output.name;
    output.reference = file.take<double>(count);
    output.bound = file.take<double>(count);
    output.unit = file.take<double>(count);
    read_numbers(file, output.torch, what);
    output.accept = file.take<std::uint8_t>(count);
    for (const auto accept : output.accept) {
        if (accept > anything) throw file.damaged("says accept " + std::to_string(accept) + "; 0 to 4 is expected");
    }
    for (const auto bound : output.bound) {
        if (output.whole() && bound != 0 && !std::isinf(bound)) {
            throw file.damaged("has a bound for " + what + ", which is whole, that is neither 0 nor infinite");
        }
    }
}

}  // namespace detail

/// Read a golden file. Whatever is in it: it is read whole and consistent, or a Failure says what is wrong.
inline Golden read_golden(const std::string& path) {
    detail::Bytes file(path);
    const auto magic = file.left() < 8 ? std::vector<char>(8) : file.take<char>(8);
    if (std::memcmp(magic.data(), "NALUGOLD", 8) != 0) {
        throw file.damaged("is not a golden file; make one with: nalu-export golden MODEL -o golden.bin");
    }
    const auto version = file.number();
    if (version != 1 && version != 2) {
        throw file.damaged("is a golden file of version " + std::to_string(version) +
                           "; this program reads versions 1 and 2");
    }
    Golden golden;
    golden.compute = file.number();
    if (golden.compute != 32 && golden.compute != 64) {
        throw file.damaged("says compute " + std::to_string(golden.compute) + "; 32 or 64 is expected");
    }
    const auto sha = file.take<char>(64);
    golden.source_sha256.assign(sha.begin(), sha.end());
    if (!detail::is_sha256(golden.source_sha256)) throw file.damaged("holds no SHA-256 of its model");
    version == 1 ? detail::read_head_of_version_1(file, golden) : detail::read_head(file, golden);
    detail::check_sizes(file, golden);
    for (auto& [name, tensor] : golden.inputs) detail::read_numbers(file, tensor, "input " + name);
    for (auto& output : golden.outputs) detail::read_output(file, output);
    return golden;
}

}  // namespace infer
