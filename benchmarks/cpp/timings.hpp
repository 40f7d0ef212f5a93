// What the timed programs share: requests on stdin and answers on stdout, one line each.
//
//     (at the start)      ->  ok ABOUT                   what it is that is timed
//     time WHAT CALLS     ->  ok SECONDS                 of one call, the mean of so many
//     results WHAT FILE   ->  ok                         the results are in FILE, as float32
//
// WHAT is the number of samples in a call; for the floor it is the name of a loop. What goes wrong is answered by
// "error TEXT". The program ends with its input.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace timings {

/// The compiler must take it that somebody reads what `data` points to, and that somebody has changed all else.
inline void keep(const void* data) { asm volatile("" : : "r"(data) : "memory"); }

template <class Call>
double seconds_per_call(long calls, Call&& call) {
    const auto start = std::chrono::steady_clock::now();
    for (long k = 0; k < calls; ++k) call();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / static_cast<double>(calls);
}

inline std::vector<float> read_floats(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<float> values(file ? static_cast<std::size_t>(file.tellg()) / sizeof(float) : 0);
    file.seekg(0);
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    if (!file || values.empty()) throw std::runtime_error("cannot read " + path);
    return values;
}

inline void write_floats(const std::string& path, const std::vector<float>& values) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

/// The samples of a file in turn, so that a call seldom sees those of the call before.
class Ring {
public:
    Ring(const std::string& path, std::size_t features) : features(features), values_(read_floats(path)) {}

    std::size_t samples() const { return values_.size() / features; }

    float* batch(std::size_t first) { return values_.data() + first * features; }

    /// How many batches of that size there are.
    std::size_t batches(std::size_t batch) const {
        if (batch == 0 || samples() % batch != 0) throw std::runtime_error("the batches must fill the ring");
        return samples() / batch;
    }

    const std::size_t features;

private:
    std::vector<float> values_;
};

/// The next of `count` places.
inline void advance(std::size_t& place, std::size_t count) {
    if (++place == count) place = 0;
}

/// What is timed.
class Program {
public:
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    virtual ~Program() = default;

    virtual std::string about() const = 0;
    virtual double seconds(const std::string& what, long calls) = 0;
    virtual std::vector<float> results(const std::string& what) = 0;
};

inline std::string answer(Program& program, const std::string& line) {
    std::istringstream words(line);
    std::string verb, what;
    words >> verb >> what;
    if (verb == "time") {
        long calls = 0;
        if (!(words >> calls) || calls < 1) throw std::runtime_error("not a number of calls: " + line);
        std::ostringstream text;
        text << std::setprecision(9) << program.seconds(what, calls);
        return text.str();
    }
    if (verb != "results") throw std::runtime_error("not a request: " + line);
    std::string path;
    std::getline(words >> std::ws, path);
    write_floats(path, program.results(what));
    return "";
}

/// Answers every request; `Timed` is made from the arguments of the program.
template <class Timed>
int serve(int argc, char** argv) {
    try {
        Timed program(std::vector<std::string>(argv + 1, argv + argc));
        std::cout << "ok " << program.about() << std::endl;
        for (std::string line; std::getline(std::cin, line);) {
            try {
                const std::string text = answer(program, line);
                std::cout << "ok " << text << std::endl;
            } catch (const std::exception& error) {
                std::cout << "error " << error.what() << std::endl;
            }
        }
        return 0;
    } catch (const std::exception& error) {
        std::cout << "error " << error.what() << std::endl;
        return 1;
    }
}

}  // namespace timings
