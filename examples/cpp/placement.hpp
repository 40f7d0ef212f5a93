// Which nodes ONNX Runtime ran on the CPU beside another provider, from a profile that it wrote of a run.
//
// Its headers of version 1.21, which these programs are built with, have no other way to ask; the ban of all nodes on the
// CPU (session.disable_cpu_ep_fallback) also forbids those that only compute shapes, which the CUDA provider leaves there
// on purpose (onnxruntime/core/framework/fallback_cpu_capability.cc).
#pragma once

#include <stdlib.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common.hpp"

namespace infer {

namespace detail {

/// The text between `open` and the next `close` behind `key`; empty where the line has no such key.
inline std::string_view behind(std::string_view line, std::string_view key, char open, char close) {
    const auto start = line.find(key);
    if (start == std::string_view::npos) return {};
    const auto first = line.find(open, start + key.size());
    const auto last = first == std::string_view::npos ? first : line.find(close, first + 1);
    return last == std::string_view::npos ? std::string_view{} : line.substr(first + 1, last - first - 1);
}

/// Whether a list of types and shapes, [{"int64":[2]},{"bool":[]}], names integers and truth values alone.
inline bool is_whole(std::string_view line, std::string_view key) {
    auto start = line.find(key);
    if (start == std::string_view::npos) return false;
    // The list ends where as many brackets are closed as were opened.
    int depth = 0;
    for (auto place = line.find('[', start); place < line.size(); ++place) {
        const char sign = line[place];
        depth += sign == '[' ? 1 : sign == ']' ? -1 : 0;
        if (depth == 0) return true;
        if (sign != '{') continue;
        const auto type = behind(line.substr(place), "{", '"', '"');
        if (type != "int64" && type != "int32" && type != "bool") return false;
    }
    return false;
}

}  // namespace detail

/// The first node of a profile that ran on the CPU and did more than compute shapes, as "Exp node_exp"; empty for none.
/// Shapes are what Shape and Size give, what is filled with one constant, and what is made of integers and truth values
/// alone: so nothing of this holds for a model that takes integers. What may not have run, in branches and loops, counts as such a node too.
inline std::string fallback_in(std::istream& profile) {
    constexpr std::string_view suffix = "_kernel_time";
    for (std::string text; std::getline(profile, text);) {
        const std::string_view line = text;
        const auto provider = detail::behind(line, "\"provider\" :", '"', '"');
        const auto op = detail::behind(line, "\"op_name\" :", '"', '"');
        if (provider.empty()) continue;
        auto name = detail::behind(line, "\"name\" :", '"', '"');
        if (name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix) {
            name.remove_suffix(suffix.size());
        }
        const bool hides = op == "If" || op == "Loop";
        if (!hides && provider != "CPUExecutionProvider") continue;
        if (!hides && (op == "Shape" || op == "Size" || op == "ConstantOfShape")) continue;
        if (!hides && detail::is_whole(line, "\"input_type_shape\"") && detail::is_whole(line, "\"output_type_shape\"")) {
            continue;
        }
        return std::string(op) + " " + std::string(name);
    }
    return {};
}

/// A folder of its own for one profile, which goes with it.
class ProfileFolder {
public:
    ProfileFolder() {
        auto pattern = (std::filesystem::temp_directory_path() / "nalu_export-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw Failure(unavailable, "no temporary folder can be made");
        folder_ = pattern;
    }
    ~ProfileFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    ProfileFolder(const ProfileFolder&) = delete;
    ProfileFolder& operator=(const ProfileFolder&) = delete;

    /// What the names of files in it are to begin with.
    std::string prefix() const { return (folder_ / "profile").string(); }

private:
    std::filesystem::path folder_;
};

}  // namespace infer
