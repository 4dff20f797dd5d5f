// The tensors of one call as the CPU's kernel sees them: the same memory, other labels.
#pragma once

#include "standin.h"

#include <utility>

namespace standin {

class HostViews {
 public:
  /// A tensor of the CPU over the memory of a card's tensor. Two that share a storage share one on the host as well.
  at::Tensor host(const at::Tensor& card);

  c10::Storage host(const c10::Storage& card);

  /// What a kernel returned, as a tensor of a card: the tensor that was given, a view of one, or memory taken over.
  at::Tensor card(const at::Tensor& host, c10::DeviceIndex index) const;

  /// Carries over what kernels do to tensors beside writing into them: resize them, set another storage.
  void follow() const;

 private:
  const c10::Storage* card_storage(const c10::Storage& host) const;

  std::vector<std::pair<at::Tensor, at::Tensor>> tensors_;       // of the card, of the host
  std::vector<std::pair<c10::Storage, c10::Storage>> storages_;  // of the card, of the host
};

}  // namespace standin
