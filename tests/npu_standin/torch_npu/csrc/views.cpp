#include "views.h"

#include <ATen/core/TensorBase.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/TensorImpl.h>

namespace standin {
namespace {

at::Tensor shaped(at::Tensor made, const at::Tensor& like) {
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}

at::Tensor tensor_over(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  return shaped(at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype()), like);
}

/// Whether autograd follows a view is its base's business, also in inference mode: the keys are the base's.
at::Tensor view_of(const at::Tensor& base, const at::Tensor& like) {
  return shaped(at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(),
                                                         like.dtype()), like);
}

bool is_same(const c10::Storage& a, const c10::Storage& b) {
  return a.unsafeGetStorageImpl() == b.unsafeGetStorageImpl();
}

}  // namespace

c10::Storage HostViews::host(const c10::Storage& card) {
  for (const auto& known : storages_) {
    if (is_same(known.first, card)) return known.second;
  }
  // It does not own the memory, but may be resized: then it gets memory of its own, which follow() hands to the card.
  c10::Storage made(c10::Storage::use_byte_size_t(), card.nbytes(),
                    c10::DataPtr(card.mutable_data(), c10::Device(c10::kCPU)), c10::GetCPUAllocator(), /*resizable=*/true);
  storages_.emplace_back(card, made);
  return made;
}

at::Tensor HostViews::host(const at::Tensor& card) {
  if (!card.defined() || card.device().type() != CARD) return card;
  auto made = tensor_over(host(card.storage()), c10::DispatchKey::CPU, card);
  tensors_.emplace_back(card, made);
  return made;
}

const c10::Storage* HostViews::card_storage(const c10::Storage& host) const {
  for (const auto& known : storages_) {
    if (is_same(known.second, host)) return &known.first;
  }
  return nullptr;
}

at::Tensor HostViews::card(const at::Tensor& host, c10::DeviceIndex index) const {
  if (!host.defined()) return host;
  for (const auto& known : tensors_) {
    if (known.second.is_same(host)) return known.first;
  }
  for (const auto& known : tensors_) {
    if (is_same(known.second.storage(), host.storage())) return view_of(known.first, host);
  }
  return tensor_over(take_over(host.storage(), index), c10::DispatchKey::PrivateUse1, host);
}

void HostViews::follow() const {
  for (const auto& [card, host] : storages_) {
    if (host.data() == card.data() && host.nbytes() == card.nbytes()) continue;
    auto memory = take_over(host, card.device().index());
    auto* of_card = card.unsafeGetStorageImpl();
    of_card->set_data_ptr_noswap(memory.set_data_ptr(c10::DataPtr()));
    of_card->set_nbytes(host.nbytes());
  }
  for (const auto& [card, host] : tensors_) {
    auto* of_card = card.unsafeGetTensorImpl();
    const auto* storage = card_storage(host.storage());
    if (storage && !is_same(*storage, card.storage())) of_card->set_storage_keep_dtype(*storage);
    if (card.sizes() != host.sizes() || card.strides() != host.strides() || card.storage_offset() != host.storage_offset()) {
      of_card->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
    }
  }
}

at::Tensor host_view(const at::Tensor& card) { return HostViews().host(card); }

}  // namespace standin
