// A loaded model as a service on stdin and stdout, for a program in another language. Binary, little-endian.
//
// At start:         u32 0, u32 length, UTF-8 lines "key\tvalue\n"; or u32 status, u32 length, one line of text, and exit.
// Each request:     u32 number of inputs, and of each u32 type, u32 rank, u64 sizes, numbers.
// Each answer:      u32 0, u32 number of outputs, and of each the same; or u32 1, u32 length, one line of text.
// Types: 1 float32, 2 float64, 3 int32, 4 int64, 5 bool, one byte each that is 0 or 1.
// Status: 1 the file or the batch is refused, 2 the runtime or the device is not there. The end of stdin is the end.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common.hpp"

namespace infer {

class Pipe {
public:
    /// Takes stdout for the protocol alone: whatever a library prints goes to stderr from here on.
    Pipe() : out_(fdopen(dup(STDOUT_FILENO), "wb")) {
        if (out_ == nullptr || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
            throw Failure(bad_input, "stdout cannot be written");
        }
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() { std::fclose(out_); }

    /// A status and a text; false if nobody reads any more.
    bool say(std::uint32_t status, const std::string& text) {
        return put(status) && put(static_cast<std::uint32_t>(text.size())) && put(text.data(), text.size()) && sent();
    }

    bool answer(const Tensors& results) {
        if (results.size() > max_values) {
            throw Failure(bad_input, "the model has " + std::to_string(results.size()) + " outputs; at most " +
                                         std::to_string(max_values) + " can be told");
        }
        bool good = put(std::uint32_t{0}) && put(static_cast<std::uint32_t>(results.size()));
        for (const auto& result : results) {
            good = good && put(static_cast<std::uint32_t>(result.type)) &&
                   put(static_cast<std::uint32_t>(result.shape.size())) &&
                   put(result.shape.data(), 8 * result.shape.size()) && put(result.data.data(), result.data.size());
        }
        return good && sent();
    }

    /// The next batch; false at the end of stdin.
    bool next(Tensors& batch) {
        std::uint32_t inputs = 0;
        const auto begun = std::fread(&inputs, 1, sizeof inputs, stdin);
        if (begun == 0 && std::feof(stdin)) return false;
        if (begun != sizeof inputs) throw Failure(bad_input, "stdin ended within a request");
        check(std::to_string(inputs) + " inputs", inputs, 0, max_values);
        batch.clear();
        while (inputs-- > 0) batch.push_back(tensor());
        return true;
    }

private:
    static void check(const std::string& what, std::uint64_t found, std::uint64_t low, std::uint64_t high) {
        if (found >= low && found <= high) return;
        throw Failure(bad_input, "a request has " + what + "; " + std::to_string(low) + " to " +
                                     std::to_string(high) + " is expected");
    }

    static Tensor tensor() {
        std::uint32_t type = 0, rank = 0;
        get(&type, sizeof type);
        check("type " + std::to_string(type), type, 1, types);
        get(&rank, sizeof rank);
        check("rank " + std::to_string(rank), rank, 0, max_rank);
        Tensor found{static_cast<Type>(type), Shape(rank), {}};
        get(found.shape.data(), 8 * found.shape.size());
        // Piece by piece: a request takes the memory of what it brings, not of what it says.
        for (auto left = elements(found.shape, "a request") * size_of(found.type); left > 0;) {
            const auto piece = std::min(left, std::size_t{1} << 22), start = found.data.size();
            found.data.resize(start + piece);
            get(found.data.data() + start, piece);
            left -= piece;
        }
        const auto odd = [](unsigned char truth) { return truth > 1; };
        if (found.type == Type::boolean && std::any_of(found.data.begin(), found.data.end(), odd)) {
            throw Failure(bad_input, "a request has a truth value that is neither 0 nor 1");
        }
        return found;
    }

    bool put(std::uint32_t number) { return put(&number, sizeof number); }
    bool put(const void* data, std::size_t size) { return size == 0 || std::fwrite(data, 1, size, out_) == size; }
    bool sent() { return std::fflush(out_) == 0; }

    static void get(void* data, std::size_t size) {
        if (size != 0 && std::fread(data, 1, size, stdin) != size) {
            throw Failure(bad_input, "stdin ended within a request");
        }
    }

    std::FILE* out_;
};

inline std::uint32_t status_of(int code) { return code == unavailable ? 2 : 1; }

/// Load a model and answer requests until stdin ends. Requests that cannot be read at all end the program.
inline int serve(const std::function<std::unique_ptr<Model>()>& load) {
    Pipe pipe;
    std::unique_ptr<Model> model;
    try {
        model = load();
    } catch (const Failure& failure) {
        pipe.say(status_of(failure.code), one_line(failure.what()));
        return failure.code;
    } catch (const std::exception& error) {
        pipe.say(status_of(bad_input), one_line(error.what()));
        return bad_input;
    }
    std::string hello;
    for (const auto& [key, value] : model->facts) hello += key + "\t" + one_line(value) + "\n";
    Tensors batch;
    for (bool read = pipe.say(0, hello); read && pipe.next(batch);) {
        try {
            read = pipe.answer(model->run(batch));
        } catch (const Failure& failure) {
            read = pipe.say(status_of(failure.code), one_line(failure.what()));
        } catch (const std::exception& error) {
            read = pipe.say(1, one_line(error.what()));
        }
    }
    return passed;
}

}  // namespace infer
