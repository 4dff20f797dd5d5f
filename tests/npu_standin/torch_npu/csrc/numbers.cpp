// Two kinds of card. With INF_NAN_MODE_ENABLE=1 (the default here, as on Ascend 910B) a result that is not finite stays as
// it is. With 0, as on the first Ascend 910, a kernel that is given finite numbers writes the largest one for infinity and 0
// for NaN, and a flag of the card says so until it is cleared. Numbers that are infinite already only move on.
#include "standin.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/nan_to_num.h>

#include <array>
#include <limits>
#include <mutex>

namespace standin {
namespace {

std::array<std::atomic<bool>, MOST_CARDS> flags;
std::atomic<int64_t> not_finite{0};
std::mutex overflow_lock;
std::map<std::string, int64_t> overflow_counts;

std::atomic<bool>& mode() {
  static std::atomic<bool> saturates{number("INF_NAN_MODE_ENABLE", 1) == 0};
  return saturates;
}

// NPU_STANDIN_OVERFLOW=aten::convolution_backward_overrideable:7 makes the seventh call of an operator overflow.
struct Injection {
  std::mutex lock;
  std::string operation;
  int64_t left = 0;

  Injection() {
    const auto text = setting("NPU_STANDIN_OVERFLOW", "");
    const auto colon = text.rfind(':');
    if (text.empty()) return;
    operation = text.substr(0, colon);
    left = std::stoll(text.substr(colon + 1));
  }

  bool is_due() {
    const std::lock_guard<std::mutex> held(lock);
    return left > 0 && running() == operation && --left == 0;
  }
};

Injection& injection() {
  static Injection one;
  return one;
}

bool counts_results() {  // looking at every number takes time
  static const bool yes = !setting("NPU_STANDIN_REPORT", "").empty();
  return yes;
}

void saturate(const at::Tensor& host) {
  const double most = host.scalar_type() == at::kHalf       ? 65504.0
                      : host.scalar_type() == at::kBFloat16 ? 3.3895313892515355e38
                      : host.scalar_type() == at::kFloat    ? std::numeric_limits<float>::max()
                                                            : std::numeric_limits<double>::max();
  at::nan_to_num_out(const_cast<at::Tensor&>(host), host, 0.0, most, -most);
}

}  // namespace

bool saturates() { return mode(); }
void set_saturates(bool value) { mode() = value; }
bool overflowed(int64_t card) { return flags.at(card); }
void clear_overflow(int64_t card) { flags.at(card) = false; }
int64_t infinite_results() { return not_finite; }

std::map<std::string, int64_t> overflows() {
  const std::lock_guard<std::mutex> held(overflow_lock);
  return overflow_counts;
}

bool looks_at_numbers() { return mode() || counts_results(); }

void inject_overflow(const std::string& operation, int64_t call) {
  auto& one = injection();
  const std::lock_guard<std::mutex> held(one.lock);
  one.operation = operation;
  one.left = call;
}

bool all_finite(const at::Tensor& host) {
  return !host.defined() || !host.is_floating_point() || host.numel() == 0 || at::isfinite(host).all().item<bool>();
}

void settle_numbers(const std::vector<at::Tensor>& written, bool given_finite, c10::DeviceIndex card) {
  if (injection().is_due()) {
    for (const auto& tensor : written) {
      if (!tensor.is_floating_point() || tensor.numel() == 0) continue;
      at::as_strided(tensor, {1}, {1}, tensor.storage_offset()).fill_(std::numeric_limits<double>::infinity());
      break;
    }
  }
  if (!looks_at_numbers()) return;
  for (const auto& tensor : written) {
    if (all_finite(tensor)) continue;
    if (given_finite) {
      const std::lock_guard<std::mutex> held(overflow_lock);
      ++overflow_counts[running()];
    }
    if (mode() && given_finite) {
      saturate(tensor);
      flags.at(card) = true;
    }
    if (!all_finite(tensor)) ++not_finite;
  }
}

}  // namespace standin
