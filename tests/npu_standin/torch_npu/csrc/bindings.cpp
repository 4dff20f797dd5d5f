// What Python asks of the device, as torch.ops.npu_standin.*: neither pybind11 nor Python's headers are needed to build it.
#include "standin.h"

#include <torch/library.h>

namespace standin {
namespace {

c10::Dict<std::string, int64_t> for_python(const std::map<std::string, int64_t>& counts) {
  c10::Dict<std::string, int64_t> result;
  for (const auto& [name, count] : counts) result.insert(name, count);
  return result;
}

}  // namespace

TORCH_LIBRARY(npu_standin, m) {
  m.def("card_count", []() -> int64_t { return card_count(); });
  m.def("current_card", []() -> int64_t { return current_card(); });
  m.def("set_current_card", &set_current_card);
  m.def("synchronize", &finish_copies);
  m.def("memory_in_use", &memory_in_use);
  m.def("most_memory_in_use", &most_memory_in_use);
  m.def("forget_most_memory", &forget_most_memory);
  m.def("memory_limit", &memory_limit);
  m.def("set_memory_limit", &set_memory_limit);
  m.def("default_generator", [](int64_t card) -> at::Generator { return default_generator(card); });
  m.def("host_view", &host_view);
  m.def("block", [](std::string operation) { block(operation); });
  m.def("unblock_all", &unblock_all);
  m.def("calls", [](std::string operation) -> int64_t { return calls(operation); });
  m.def("calls_by_name", []() { return for_python(all_calls()); });
  m.def("overflows", []() { return for_python(overflows()); });
  m.def("saturates", &saturates);
  m.def("set_saturates", &set_saturates);
  m.def("overflowed", &overflowed);
  m.def("clear_overflow", &clear_overflow);
  m.def("infinite_results", &infinite_results);
  m.def("inject_overflow", [](std::string operation, int64_t call) { inject_overflow(operation, call); });
}

}  // namespace standin
