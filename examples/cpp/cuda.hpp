// What can be found out about CUDA without linking to it: names and versions from libraries that are loaded anyway.
#pragma once

#include <dlfcn.h>

#include <array>
#include <string>

#include "common.hpp"

namespace infer {

namespace detail {

constexpr auto unknown = "unknown";

/// A function of a library; null where the library or the function is not there.
template <class F>
F* function_of(const char* library, const char* name, int flags = 0) {
    auto* handle = dlopen(library, RTLD_LAZY | flags);
    return handle == nullptr ? nullptr : reinterpret_cast<F*>(dlsym(handle, name));
}

/// The first device as CUDA counts them, that is, after CUDA_VISIBLE_DEVICES.
inline std::string cuda_device() {
    constexpr auto driver = "libcuda.so.1";
    auto* init = function_of<int(unsigned)>(driver, "cuInit");
    auto* name_of = function_of<int(char*, int, int)>(driver, "cuDeviceGetName");
    std::array<char, 256> name{};
    const auto size = static_cast<int>(name.size());
    return init && name_of && init(0) == 0 && name_of(name.data(), size, 0) == 0 ? name.data() : unknown;
}

inline std::string cuda_driver() {
    constexpr auto management = "libnvidia-ml.so.1";
    auto* init = function_of<int()>(management, "nvmlInit_v2");
    auto* version_of = function_of<int(char*, unsigned)>(management, "nvmlSystemGetDriverVersion");
    std::array<char, 96> version{};
    const auto size = static_cast<unsigned>(version.size());
    return init && version_of && init() == 0 && version_of(version.data(), size) == 0 ? version.data() : unknown;
}

/// Of the CUDA runtime that this process has loaded.
inline std::string cuda_version() {
    for (const auto* library : {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"}) {
        auto* version_of = function_of<int(int*)>(library, "cudaRuntimeGetVersion", RTLD_NOLOAD);
        int version = 0;
        if (version_of && version_of(&version) == 0) {
            return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
        }
    }
    return unknown;
}

}  // namespace detail

/// Whether an error is one of the device or of its libraries, and so no fault of the model or the batch: a full memory, a
/// missing cuDNN, whatever CUDA itself reports.
inline bool is_device_fault(const std::string& error) {
    for (const auto* mark : {"CUDA failure", "CUDNN failure", "CUBLAS failure", "cuDNN is ", "cuDNN handle", "CUDA error",
                             "cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS", "CUDA out of memory",
                             "Failed to allocate memory"}) {
        if (error.find(mark) != std::string::npos) return true;
    }
    return false;
}

/// device, driver and cuda; "unknown" where nothing answers. To be called when the provider is loaded.
inline Texts cuda_facts() {
    return {{"device", detail::cuda_device()}, {"driver", detail::cuda_driver()}, {"cuda", detail::cuda_version()}};
}

}  // namespace infer
