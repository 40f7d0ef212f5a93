// What the programs share: tensors of several types, errors with an exit code, and what a program says of itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace infer {

constexpr int passed = 0, mismatch = 1, bad_input = 2, unavailable = 3;  // exit codes

/// An error for a person: one line, and the exit code that it ends the program with.
class Failure : public std::runtime_error {
public:
    Failure(int exit_code, const std::string& text) : std::runtime_error(text), code(exit_code) {}
    const int code;
};

using Shape = std::vector<std::uint64_t>;

constexpr std::uint64_t max_rank = 16;
constexpr std::uint64_t max_elements = std::uint64_t{1} << 34;
constexpr std::uint32_t max_values = 64;  // inputs, and outputs, of one model

/// The types of numbers, with the numbers that golden files and the protocol have for them.
enum class Type : std::uint32_t { float32 = 1, float64, int32, int64, boolean };

constexpr std::uint32_t types = 5;
constexpr auto type_names = "float32, float64, int32, int64 or bool";

inline const char* text_of(Type type) {
    constexpr const char* names[] = {"float32", "float64", "int32", "int64", "bool"};
    return names[static_cast<std::uint32_t>(type) - 1];
}

/// Bytes of one number; a truth value is one byte, 0 or 1.
inline std::size_t size_of(Type type) {
    constexpr std::size_t sizes[] = {4, 8, 4, 8, 1};
    return sizes[static_cast<std::uint32_t>(type) - 1];
}

/// Numbers of one type, row-major.
struct Tensor {
    Type type = Type::float32;
    Shape shape;
    std::vector<unsigned char> data;  // its memory is aligned for any of the types

    template <class T>
    const T* as() const {
        return reinterpret_cast<const T*>(data.data());
    }
    template <class T>
    T* as() {
        return reinterpret_cast<T*>(data.data());
    }
};

using Tensors = std::vector<Tensor>;
using Names = std::vector<std::string>;

/// How many numbers a shape has. A shape may come from a file or a pipe: what cannot be in memory is a Failure.
inline std::size_t elements(const Shape& shape, const std::string& what) {
    std::uint64_t count = 1;
    for (const auto size : shape) {
        if (size == 0) return 0;
    }
    for (const auto size : shape) {
        if (size > max_elements / count) throw Failure(bad_input, what + " has more numbers than fit into memory");
        count *= size;
    }
    return static_cast<std::size_t>(count);
}

/// "8 x 1 x 24", or "one number" for a shape without axes.
inline std::string text_of(const Shape& shape) {
    std::string text;
    for (const auto size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
    return text.empty() ? "one number" : text;
}

/// The shapes of several tensors.
inline std::string text_of(const Tensors& tensors) {
    std::string text;
    for (const auto& tensor : tensors) text += (text.empty() ? "" : " and ") + text_of(tensor.shape);
    return text;
}

/// The first line of a text, without control characters: a library's message may have many lines, a file's text any.
inline std::string one_line(const std::string& text) {
    const auto start = text.find_first_not_of(" \t\r\n");
    if (start == std::string::npos) return "";
    auto line = text.substr(start, text.find_first_of("\r\n", start) - start);
    for (auto& character : line) {
        if (static_cast<unsigned char>(character) < 32 || character == 127) character = ' ';
    }
    return line;
}

/// "x, mask"; of very many only the first.
inline std::string text_of(const Names& names) {
    std::string text;
    for (const auto& name : names) {
        if (text.size() > 100) return text + ", ...";
        text += (text.empty() ? "" : ", ") + one_line(name);
    }
    return text;
}

/// Keys and values in the order in which they are shown.
using Texts = std::vector<std::pair<std::string, std::string>>;

inline std::string value_of(const Texts& texts, const std::string& key) {
    for (const auto& [name, value] : texts) {
        if (name == key) return value;
    }
    return "";
}

/// A model that is loaded. Both runtimes are one of these; everything else is written for it.
class Model {
public:
    Model() = default;
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    virtual ~Model() = default;

    /// One batch: a tensor for each input, and one for each output, in the file's order. A batch that cannot be run is
    /// a Failure or any other std::exception.
    virtual Tensors run(const Tensors& batch) = 0;

    /// Names in the file's order; empty where the file does not say them.
    Names inputs, outputs;
    /// What the export wrote into the file: keys without the prefix "nalu_export.".
    Texts metadata;
    /// library, device, provider, options, threads; on CUDA also driver and cuda.
    Texts facts;
};

/// What the command line asked for.
struct Options {
    std::string model, golden;
    bool cuda = false, serve = false;
    int threads = 0;        // 0: the library's own choice
    std::size_t batch = 0;  // 0: all samples at once
};

}  // namespace infer
