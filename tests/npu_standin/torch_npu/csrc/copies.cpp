// Copies between cards and the host, and the few kernels that make tensors out of nothing.
//
// A copy from a card to pinned memory that nobody waits for (non_blocking) arrives when somebody waits for the card, not
// before: a program that reads too early reads what was there before, here always, on a real card sometimes.
#include "views.h"

#include <ATen/EmptyTensor.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <mutex>

namespace standin {
namespace {

using OptionalType = std::optional<at::ScalarType>;
using OptionalDevice = std::optional<c10::Device>;

const c10::DispatchKeySet KEYS(c10::DispatchKey::PrivateUse1);

at::Tensor empty(c10::IntArrayRef size, OptionalType dtype, std::optional<at::Layout>, OptionalDevice device,
                 std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const Running call("aten::empty");
  const c10::DeviceGuard guard(c10::device_or_default(device));
  return at::detail::empty_generic(size, card_allocator(), KEYS, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, OptionalType dtype, std::optional<at::Layout>,
                         OptionalDevice device, std::optional<bool>) {
  const Running call("aten::empty_strided");
  const c10::DeviceGuard guard(c10::device_or_default(device));
  return at::detail::empty_strided_generic(size, stride, card_allocator(), KEYS, c10::dtype_or_default(dtype));
}

struct Late {
  at::Tensor to, from;  // both of the host; `from` as it was when the copy was asked for
};

std::mutex lock;
std::vector<Late> late;

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const Running call("aten::_copy_from");
  const at::Tensor source = host_view(from), target = host_view(to);
  if (non_blocking && to.is_cpu() && is_pinned(to.const_data_ptr())) {
    const std::lock_guard<std::mutex> held(lock);
    late.push_back({to, source.clone()});
    return to;
  }
  finish_copies();
  const bool converts = from.dtype() != to.dtype();
  const bool given_finite = !converts || !looks_at_numbers() || all_finite(source);
  const_cast<at::Tensor&>(target).copy_(source);
  if (converts) settle_numbers({target}, given_finite, (to.is_cpu() ? from : to).device().index());
  return to;
}

// The CPU's kernel draws from the CPU's default generator, whatever it is given.
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double probability, std::optional<bool> train) {
  const Running call("aten::native_dropout");
  auto mask = at::empty_like(input, input.options().dtype(at::kBool));
  if (!train.value_or(true)) return {input.clone(), mask.fill_(true)};
  mask.bernoulli_(1.0 - probability);
  const double scale = probability == 1.0 ? 0.0 : 1.0 / (1.0 - probability);
  return {input * mask * scale, mask};
}

void record_stream(at::Tensor&, c10::Stream) {}

}  // namespace

void finish_copies() {
  const std::lock_guard<std::mutex> held(lock);
  for (const auto& copy : late) const_cast<at::Tensor&>(copy.to).copy_(copy.from);
  late.clear();
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("native_dropout", native_dropout);
  m.impl("record_stream", record_stream);
}

}  // namespace standin
