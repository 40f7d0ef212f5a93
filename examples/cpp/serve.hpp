// A loaded model as a service on stdin and stdout, for a program in another language. Binary, little-endian.
//
// At start:         u32 0, u32 length, UTF-8 lines "key\tvalue\n"; or u32 status, u32 length, one line of text, and exit.
// Each request:     u32 rank, u64 sizes, float32 numbers.
// Each answer:      u32 0, u32 rank, u64 sizes, float32 numbers; or u32 1, u32 length, one line of text.
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

    bool answer(const Tensor& result) {
        return put(std::uint32_t{0}) && put(static_cast<std::uint32_t>(result.shape.size())) &&
               put(result.shape.data(), 8 * result.shape.size()) &&
               put(result.data.data(), sizeof(float) * result.data.size()) && sent();
    }

    /// The next batch; false at the end of stdin.
    bool next(Tensor& batch) {
        std::uint32_t rank = 0;
        const auto begun = std::fread(&rank, 1, sizeof rank, stdin);
        if (begun == 0 && std::feof(stdin)) return false;
        if (begun != sizeof rank) throw Failure(bad_input, "stdin ended within a request");
        if (rank > max_rank) {
            throw Failure(bad_input, "a request has rank " + std::to_string(rank) + "; 0 to 16 is expected");
        }
        batch.shape.assign(rank, 0);
        get(batch.shape.data(), 8 * batch.shape.size());
        batch.data.clear();
        // Piece by piece: a request takes the memory of what it brings, not of what it says.
        for (auto left = elements(batch.shape, "a request"); left > 0;) {
            const auto piece = std::min(left, std::size_t{1} << 20), start = batch.data.size();
            batch.data.resize(start + piece);
            get(batch.data.data() + start, sizeof(float) * piece);
            left -= piece;
        }
        return true;
    }

private:
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
    Tensor batch;
    for (bool read = pipe.say(0, hello); read && pipe.next(batch);) {
        try {
            read = pipe.answer(model->run(batch));
        } catch (const std::exception& error) {
            read = pipe.say(1, one_line(error.what()));
        }
    }
    return passed;
}

}  // namespace infer
