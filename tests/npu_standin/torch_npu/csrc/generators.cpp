// Generators of the cards: the CPU's algorithm, a state for each card. Kernels are the CPU's and take its generators, so
// each of ours holds one, which on_host() gives to the kernel.
#include "standin.h"

#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GeneratorImpl.h>
#include <c10/util/Exception.h>

namespace standin {
namespace {

struct CardGenerator final : c10::GeneratorImpl {
  CardGenerator(c10::DeviceIndex card, at::Generator host)
      : c10::GeneratorImpl(c10::Device(CARD, card), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)),
        host(std::move(host)) {}

  void set_current_seed(uint64_t seed) override { host.set_current_seed(seed); }
  void set_offset(uint64_t offset) override { host.set_offset(offset); }
  uint64_t get_offset() const override { return host.unsafeGetGeneratorImpl()->get_offset(); }
  uint64_t current_seed() const override { return host.current_seed(); }
  uint64_t seed() override { return host.seed(); }
  void set_state(const c10::TensorImpl& state) override { host.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return host.unsafeGetGeneratorImpl()->get_state(); }
  CardGenerator* clone_impl() const override { return new CardGenerator(device().index(), host.clone()); }

  at::Generator host;
};

}  // namespace

at::Generator new_generator(c10::DeviceIndex card) {
  return at::make_generator<CardGenerator>(card < 0 ? current_card() : card,
                                           at::make_generator<at::CPUGeneratorImpl>(c10::detail::getNonDeterministicRandom()));
}

const at::Generator& default_generator(int64_t card) {
  static const std::vector<at::Generator> all = [] {
    std::vector<at::Generator> made;
    for (int i = 0; i < card_count(); ++i) made.push_back(new_generator(static_cast<c10::DeviceIndex>(i)));
    return made;
  }();
  return all.at(card < 0 ? current_card() : card);
}

at::Generator on_host(const at::Generator& generator) {
  TORCH_CHECK(generator.device().type() == CARD, running(), ": expected a generator of an npu, not of ", generator.device());
  return static_cast<const CardGenerator*>(generator.unsafeGetGeneratorImpl())->host;
}

}  // namespace standin
