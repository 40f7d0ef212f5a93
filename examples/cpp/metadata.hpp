// Metadata that is JSON: the extra file nalu_export.json of a TorchScript file, one flat object of texts, and the lists
// of inputs and outputs that are such texts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "common.hpp"

namespace infer {

namespace detail {

/// JSON as an export writes it, from the front; what it cannot read is a Failure.
class Json {
public:
    Json(const std::string& text, const std::string& what) : text_(text), what_(what) {}

    /// `{"key": "value", ...}`
    Texts texts() {
        Texts found;
        members([&](const std::string& key) { found.emplace_back(key, string()); });
        end();
        return found;
    }

    /// The names of `[{"name": "x", ...}, ...]`.
    Names names() {
        Names found;
        expect('[');
        if (next() != ']') {
            do {
                std::string name;
                members([&](const std::string& key) { key == "name" ? void(name = string()) : skip(); });
                found.push_back(name);
            } while (taken(','));
        }
        expect(']');
        end();
        return found;
    }

private:
    Failure bad() const { return Failure(bad_input, what_ + " is not what an export writes"); }

    /// An object, whose values `take_value` takes.
    template <class TakeValue>
    void members(const TakeValue& take_value) {
        expect('{');
        if (next() != '}') {
            do {
                const auto key = string();
                expect(':');
                take_value(key);
            } while (taken(','));
        }
        expect('}');
    }

    /// Any value, in so many others at most.
    void skip(int depth = 0) {
        if (depth > 16) throw bad();
        if (next() == '"') {
            string();
        } else if (next() == '{') {
            members([&](const std::string&) { skip(depth + 1); });
        } else if (taken('[')) {
            if (taken(']')) return;
            do skip(depth + 1);
            while (taken(','));
            expect(']');
        } else {
            word();
        }
    }

    /// A number, true, false or null.
    void word() {
        const auto start = at_;
        const auto part = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.'; };
        while (at_ < text_.size() && (part(text_[at_]) || text_[at_] == '+' || text_[at_] == 'E')) ++at_;
        if (at_ == start) throw bad();
    }

    void end() {
        if (next() != '\0') throw bad();
    }

    /// The next character that is not a blank, '\0' at the end.
    char next() {
        while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    bool taken(char wanted) {
        if (next() != wanted) return false;
        ++at_;
        return true;
    }

    void expect(char wanted) {
        if (!taken(wanted)) throw bad();
    }

    char take() {
        if (at_ == text_.size()) throw bad();
        return text_[at_++];
    }

    std::string string() {
        expect('"');
        std::string value;
        for (char character = take(); character != '"'; character = take()) {
            if (character == '\\') {
                escaped(value);
            } else {
                value += character;
            }
        }
        return value;
    }

    void escaped(std::string& value) {
        const char letter = take();
        const std::string letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        if (letter == 'u') {
            append(value, code_point());
        } else if (const auto index = letters.find(letter); index != std::string::npos) {
            value += meanings[index];
        } else {
            throw bad();
        }
    }

    std::uint32_t code_point() {
        const auto first = four_digits();
        if (first < 0xD800 || first > 0xDFFF) return first;
        if (first > 0xDBFF || take() != '\\' || take() != 'u') throw bad();
        const auto second = four_digits();
        if (second < 0xDC00 || second > 0xDFFF) throw bad();
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    }

    std::uint32_t four_digits() {
        std::uint32_t value = 0;
        for (int digit = 0; digit < 4; ++digit) {
            const auto found = std::string("0123456789abcdef").find(static_cast<char>(take() | 0x20));
            if (found == std::string::npos) throw bad();
            value = 16 * value + static_cast<std::uint32_t>(found);
        }
        return value;
    }

    static void append(std::string& value, std::uint32_t code) {
        const auto tail = [code](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
        if (code < 0x80) {
            value += static_cast<char>(code);
        } else if (code < 0x800) {
            value += {static_cast<char>(0xC0 | (code >> 6)), tail(0)};
        } else if (code < 0x10000) {
            value += {static_cast<char>(0xE0 | (code >> 12)), tail(6), tail(0)};
        } else {
            value += {static_cast<char>(0xF0 | (code >> 18)), tail(12), tail(6), tail(0)};
        }
    }

    const std::string text_, what_;
    std::size_t at_ = 0;
};

}  // namespace detail

/// The keys and values of nalu_export.json, without the prefix "nalu_export."; none where the file has none.
inline Texts read_metadata(const std::string& json, const std::string& path) {
    if (json.empty()) return {};
    auto texts = detail::Json(json, path + ": its extra file nalu_export.json").texts();
    const std::string prefix = "nalu_export.";
    for (auto& [key, value] : texts) {
        if (key.rfind(prefix, 0) == 0) key.erase(0, prefix.size());
    }
    std::sort(texts.begin(), texts.end());
    return texts;
}

/// The names in the metadata `inputs` or `outputs`; none where the file has no such list.
inline Names read_names(const Texts& metadata, const std::string& key, const std::string& path) {
    const auto json = value_of(metadata, key);
    return json.empty() ? Names{} : detail::Json(json, path + ": its metadata " + key).names();
}

}  // namespace infer
