// The command line of the programs that load a file: PROGRAM MODEL GOLDEN.bin, or PROGRAM MODEL --serve.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common.hpp"
#include "golden.hpp"
#include "matching.hpp"
#include "serve.hpp"
#include "verify.hpp"

namespace infer {

/// Loads the file that the options name, where they say.
using Load = std::unique_ptr<Model> (*)(const Options&);

/// What the export wrote into the file, one line each; long ones, such as the list of layers, are cut.
inline void show(const Texts& metadata) {
    constexpr std::size_t width = 100;
    for (const auto& [key, text] : metadata) {
        auto line = one_line(text);
        if (line.size() > width) {
            auto end = width - 3;
            while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;  // whole UTF-8 characters
            line = line.substr(0, end) + "...";
        }
        std::printf("  %-14s %s\n", one_line(key).c_str(), line.c_str());
    }
    std::fflush(stdout);
}

namespace detail {

inline int count_of(const std::string& option, const std::string& text) {
    int count = 0;
    const auto end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || stop != end || count < 1) {
        throw Failure(bad_input, option + " is " + one_line(text) + "; a whole number from 1 on is expected");
    }
    return count;
}

/// `where` is what the program calls its choice of a device: --provider or --device.
inline Options parse(const std::vector<std::string>& words, const std::string& where, const std::string& usage) {
    Options options;
    std::vector<std::string> files;
    for (auto word = words.begin(); word != words.end(); ++word) {
        if (*word == "--serve") {
            options.serve = true;
        } else if (*word == where || *word == "--threads" || *word == "--batch") {
            const auto& option = *word;
            if (++word == words.end()) throw Failure(bad_input, option + " needs a value; " + usage);
            if (option == where && *word != "cpu" && *word != "cuda") {
                throw Failure(bad_input, option + " is " + one_line(*word) + "; cpu or cuda is expected");
            }
            if (option == where) options.cuda = *word == "cuda";
            if (option == "--threads") options.threads = count_of(option, *word);
            if (option == "--batch") options.batch = static_cast<std::size_t>(count_of(option, *word));
        } else if (word->rfind("--", 0) == 0) {
            throw Failure(bad_input, "no option " + one_line(*word) + "; " + usage);
        } else {
            files.push_back(*word);
        }
    }
    if (files.size() != (options.serve ? 1 : 2)) throw Failure(bad_input, usage);
    options.model = files[0];
    if (!options.serve) options.golden = files[1];
    return options;
}

inline std::unique_ptr<Model> loaded(const Options& options, Load load) {
    std::error_code error;
    // Both libraries wait for ever on a FIFO.
    if (!std::filesystem::is_regular_file(options.model, error)) {
        throw Failure(bad_input, options.model + " is not a file");
    }
    return load(options);
}

inline int run(const Options& options, Load load) {
    if (options.serve) return serve([&] { return loaded(options, load); });
    const auto golden = read_golden(options.golden);
    const auto model = loaded(options, load);
    show(model->metadata);
    for (const auto& assumption : golden.assumptions) std::printf("  assumed        %s\n", assumption.c_str());
    check_origin(golden, options, model->metadata);
    const auto& facts = model->facts;
    auto who = value_of(facts, "library") + ", " + value_of(facts, "provider");
    if (options.cuda) who += ", " + value_of(facts, "device");
    return verify(golden, options, who, matched(golden, *model, options));
}

}  // namespace detail

/// `body`, and its exit code; every exception becomes one line on stderr.
inline int guarded(const std::string& name, const std::function<int()>& body) {
    std::string text;
    int code = bad_input;
    try {
        return body();
    } catch (const Failure& failure) {
        code = failure.code;
        text = failure.what();
    } catch (const std::bad_alloc&) {
        text = "not enough memory";
    } catch (const std::exception& error) {
        text = error.what();
    }
    std::fprintf(stderr, "%s: %s\n", name.c_str(), one_line(text).c_str());
    return code;
}

/// A whole program: its name, what it calls the choice of a device, and how it loads a model.
inline int main_of(int argc, char** argv, const std::string& name, const std::string& where, Load load) {
    const auto usage = "usage: " + name + " MODEL GOLDEN.bin|--serve [" + where + " cpu|cuda] [--threads N] [--batch N]";
    return guarded(name, [&] {
        return detail::run(detail::parse({argv + 1, argv + argc}, where, usage), load);
    });
}

}  // namespace infer
