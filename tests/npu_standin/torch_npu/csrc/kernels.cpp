// One kernel for every operator: check what is given, call the CPU's kernel on the same memory, label what it returns.
//
// It works on views of the card's memory and not on copies, so whatever a CPU kernel writes in place is written, also where
// the schema does not say so (running statistics of batch norm).
#include "views.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <cmath>
#include <set>

namespace standin {
namespace {

using c10::IValue;

/// Calls a function on each tensor of an argument or a result, and puts what it returns in the tensor's place.
template <class Change>
void change_tensors(IValue& value, const Change& change) {
  if (value.isTensor()) {
    value = change(value.toTensor());
  } else if (value.isTensorList()) {
    auto list = value.toTensorList();
    c10::List<at::Tensor> changed;
    for (const at::Tensor& tensor : list) changed.push_back(change(tensor));
    value = changed;
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> changed;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorList()) {
      changed.push_back(tensor ? std::optional<at::Tensor>(change(*tensor)) : tensor);
    }
    value = changed;
  }
}

template <class Look>
void look_at_tensors(const IValue& value, const Look& look) {
  IValue copy = value;
  change_tensors(copy, [&](const at::Tensor& tensor) {
    if (tensor.defined()) look(tensor);
    return tensor;
  });
}

/// The card of a call. A tensor of the CPU may be among its arguments only as a number, which has no dimensions.
c10::Device card_of(const c10::FunctionSchema& schema, c10::ArrayRef<IValue> arguments) {
  std::optional<c10::Device> card, other;
  for (const auto& argument : arguments) {
    look_at_tensors(argument, [&](const at::Tensor& tensor) {
      if (tensor.device().type() != CARD) {
        if (tensor.dim() > 0) other = tensor.device();
      } else if (!card) {
        card = tensor.device();
      } else if (*card != tensor.device()) {
        other = tensor.device();
      }
    });
  }
  TORCH_CHECK(!card || !other, schema.name(), ": expected all tensors to be on the same device, but found at least two, ",
              *card, " and ", *other);
  for (const auto& argument : arguments) {
    if (!card && argument.isDevice() && argument.toDevice().type() == CARD) card = argument.toDevice();
  }
  return card && card->has_index() ? *card : c10::Device(CARD, current_card());
}

bool is_written(const c10::Argument& argument) { return argument.alias_info() && argument.alias_info()->isWrite(); }

bool is_finite(const IValue& value) {
  bool finite = !(value.isDouble() && !std::isfinite(value.toDouble()));
  look_at_tensors(value, [&](const at::Tensor& host) { finite = finite && all_finite(host); });
  return finite;
}

/// Puts generators and devices of the host in the place of the card's.
void change_argument(const c10::Argument& argument, IValue& value, c10::Device card) {
  if (value.isGenerator()) {
    value = on_host(value.toGenerator());
  } else if (value.isNone() && argument.name() == "generator") {
    value = on_host(default_generator(card.index()));
  } else if (value.isDevice()) {
    value = c10::Device(c10::kCPU);
  }
}

void kernel(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const Running call(schema.name());
  const at::AutoDispatchBelowAutograd below;
  const size_t first = stack->size() - schema.arguments().size();
  const auto card = card_of(schema, c10::ArrayRef<IValue>(*stack).slice(first));

  HostViews views;
  std::vector<at::Tensor> written;
  bool given_finite = true, has_generator = false;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto& argument = schema.arguments()[i];
    auto& value = (*stack)[first + i];
    has_generator = has_generator || argument.name() == "generator";
    change_argument(argument, value, card);
    if (value.isStorage()) value = views.host(value.toStorage());
    change_tensors(value, [&](const at::Tensor& tensor) { return views.host(tensor); });
    if (is_written(argument)) {
      look_at_tensors(value, [&](const at::Tensor& host) { written.push_back(host); });
    } else if (looks_at_numbers()) {
      given_finite = given_finite && is_finite(value);
    }
  }
  TORCH_CHECK_NOT_IMPLEMENTED(has_generator || !op.hasTag(at::Tag::nondeterministic_seeded), schema.name(),
                              " draws from no generator that could be the card's; add a kernel to the stand-in");

  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);

  views.follow();
  for (size_t i = first; i < stack->size(); ++i) {
    if (schema.returns()[i - first].alias_info() == nullptr) {
      look_at_tensors((*stack)[i], [&](const at::Tensor& host) { written.push_back(host); });
    }
  }
  settle_numbers(written, given_finite, card.index());
  for (size_t i = first; i < stack->size(); ++i) {
    change_tensors((*stack)[i], [&](const at::Tensor& host) { return views.card(host, card.index()); });
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&kernel>()); }

/// Operators that torch takes apart for devices it does not know, into pieces that check and compute elsewhere. Here they are
/// whole, so that it is the operator that is refused, and that computes what the CPU's computes.
bool is_taken_apart(const c10::OperatorName& name) {
  static const std::set<std::string> whole = {"aten::convolution", "aten::convolution_backward"};
  const auto op = c10::Dispatcher::singleton().findOp(name);
  if (name.name == "aten::new_empty_strided") return false;  // what it returns has no numbers yet that could be looked at
  return op && (whole.count(name.name) || op->hasKernelForDispatchKey(
      c10::DispatchKey::CompositeExplicitAutogradNonFunctional));
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.getNamespace() != "aten" || !is_taken_apart(name)) continue;
    const auto full = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    m.impl(full.c_str(), torch::CppFunction::makeFromBoxedFunction<&kernel>());
  }
}

}  // namespace standin
