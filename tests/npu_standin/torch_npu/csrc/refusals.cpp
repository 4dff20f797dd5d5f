// Operators that a card does not have: NPU_STANDIN_BLOCK=aten::nonzero,aten::sort makes this one refuse them by name.
#include "standin.h"

#include <c10/util/Exception.h>

#include <mutex>
#include <set>

namespace standin {
namespace {

std::mutex lock;
thread_local std::string now = "no operator";

std::set<std::string>& blocked() {
  static std::set<std::string> names = [] {
    const auto listed = words(setting("NPU_STANDIN_BLOCK", ""));
    return std::set<std::string>(listed.begin(), listed.end());
  }();
  return names;
}

std::map<std::string, int64_t>& counts() {
  static std::map<std::string, int64_t> calls;
  return calls;
}

}  // namespace

Running::Running(const std::string& operation) : before_(now) {
  const std::lock_guard<std::mutex> held(lock);
  TORCH_CHECK_NOT_IMPLEMENTED(!blocked().count(operation), "The operator '", operation,
                              "' is not supported on this npu: it is blocked there");
  ++counts()[operation];
  now = operation;
}

Running::~Running() { now = before_; }

const std::string& running() { return now; }

void block(const std::string& operation) {
  const std::lock_guard<std::mutex> held(lock);
  blocked().insert(operation);
}

void unblock_all() {
  const std::lock_guard<std::mutex> held(lock);
  blocked().clear();
}

int64_t calls(const std::string& operation) {
  const std::lock_guard<std::mutex> held(lock);
  const auto found = counts().find(operation);
  return found == counts().end() ? 0 : found->second;
}

std::map<std::string, int64_t> all_calls() {
  const std::lock_guard<std::mutex> held(lock);
  return counts();
}

}  // namespace standin
