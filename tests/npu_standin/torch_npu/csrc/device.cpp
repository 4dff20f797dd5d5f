// The cards as torch asks for them: how many, which is a thread's, streams and events. Work is done when a call returns, so
// every stream is the default one and an event has happened once it is recorded; only copies that nobody waits for are late.
//
// Members without `override` are new in some torch between 2.6 and 2.13: there they override, elsewhere nobody calls them.
#include "standin.h"

#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>

namespace standin {
namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::Stream;

thread_local DeviceIndex current = 0;

DeviceIndex exchange(DeviceIndex card) {
  const auto before = current;
  if (card >= 0) current = card;
  return before;
}

int visible_cards() {
  const auto cards = number("NPU_STANDIN_CARDS", 8);
  TORCH_CHECK(cards <= MOST_CARDS, "NPU_STANDIN_CARDS=", cards, ": expected ", MOST_CARDS, " at most");
  if (!std::getenv("ASCEND_RT_VISIBLE_DEVICES")) return static_cast<int>(cards);
  return static_cast<int>(std::min<size_t>(cards, words(setting("ASCEND_RT_VISIBLE_DEVICES", "")).size()));
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return CARD; }
  Device exchangeDevice(Device device) const override { return Device(CARD, exchange(device.index())); }
  Device getDevice() const override { return Device(CARD, current); }
  void setDevice(Device device) const override {
    if (device.index() >= 0) set_current_card(device.index());
  }
  void uncheckedSetDevice(Device device) const noexcept override { exchange(device.index()); }
  DeviceIndex deviceCount() const noexcept override { return static_cast<DeviceIndex>(card_count()); }

  Stream getStream(Device device) const noexcept override { return Stream(Stream::DEFAULT, device); }
  Stream getDefaultStream(Device device) const override { return getStream(device); }
  Stream getNewStream(Device device, int) const override { return getStream(device); }
  Stream getStreamFromGlobalPool(Device device, bool) const override { return getStream(device); }
  Stream exchangeStream(Stream stream) const noexcept override { return getStream(stream.device()); }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override { finish_copies(); }
  void synchronizeDevice(const DeviceIndex) const { finish_copies(); }

  void record(void** event, const Stream&, const DeviceIndex, const c10::EventFlag) const override { *event = &current; }
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override { finish_copies(); }
  double elapsedTime(void*, void*, const DeviceIndex) const override { return 0.0; }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const { return true; }
  bool isAvailable() const { return card_count() > 0; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  void init() const {}

  DeviceIndex deviceCount() const override { return static_cast<DeviceIndex>(card_count()); }
  DeviceIndex getCurrentDevice() const override { return current; }
  void setCurrentDevice(DeviceIndex card) const override { set_current_card(card); }
  DeviceIndex exchangeDevice(DeviceIndex card) const override { return exchange(card); }
  DeviceIndex maybeExchangeDevice(DeviceIndex card) const override { return exchange(card); }

  const at::Generator& getDefaultGenerator(DeviceIndex card) const override { return default_generator(card); }
  at::Generator getNewGenerator(DeviceIndex card) const { return new_generator(card); }

  at::Allocator* getPinnedMemoryAllocator() const override { return pinned_allocator(); }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  Device getDeviceFromPtr(void*) const override { return Device(CARD, current); }

  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    const c10::DeviceGuard guard(storage.device());
    auto memory = card_allocator()->allocate(bytes);
    card_allocator()->copy_data(memory.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(memory));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};

const bool registered = [] {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  return true;
}();

}  // namespace

int card_count() {
  static const int count = visible_cards();
  return count;
}

c10::DeviceIndex current_card() { return current; }

void set_current_card(int64_t card) {
  TORCH_CHECK(0 <= card && card < card_count(), "npu:", card, " does not exist: ", card_count(), " visible, numbered from 0");
  current = static_cast<DeviceIndex>(card);
}

}  // namespace standin
