// Memory of the cards. It is the host's, aligned as the CPU's allocator does it, so that kernels sum in the same order;
// each card counts what its tensors take and refuses what goes beyond its limit.
#include "standin.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <array>
#include <cstring>
#include <mutex>

namespace standin {
namespace {

std::array<std::atomic<int64_t>, MOST_CARDS> in_use, most_in_use;

std::atomic<int64_t>& limit() {
  static std::atomic<int64_t> bytes{number("NPU_STANDIN_MEMORY_MB", 65536) << 20};
  return bytes;
}

// What a storage of a card owns: memory asked for, or a storage of the host that a kernel made.
struct Holding {
  c10::DataPtr own;
  c10::Storage taken;
  int64_t bytes;
  c10::DeviceIndex card;
};

void give_back(void* context) {
  auto* holding = static_cast<Holding*>(context);
  in_use[holding->card] -= holding->bytes;
  delete holding;
}

void reserve(int64_t bytes, c10::DeviceIndex card) {
  const int64_t total = in_use[card] += bytes;
  if (total > limit()) {
    in_use[card] -= bytes;
    TORCH_CHECK_WITH(OutOfMemoryError, false, "NPU out of memory in ", running(), ". Tried to allocate ", bytes,
                     " bytes on npu:", static_cast<int>(card), ", which has ", limit().load(), " bytes, ", total - bytes,
                     " of them in use");
  }
  int64_t most = most_in_use[card];
  while (most < total && !most_in_use[card].compare_exchange_weak(most, total)) {
  }
}

struct CardAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    const auto card = current_card();
    reserve(bytes, card);
    auto* holding = new Holding{c10::GetCPUAllocator()->allocate(bytes), c10::Storage(), static_cast<int64_t>(bytes), card};
    return {holding->own.get(), holding, &give_back, c10::Device(CARD, card)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

CardAllocator allocator;
REGISTER_ALLOCATOR(CARD, &allocator);

// Pinned memory of the host: nothing is special about it but that it is known to be.
std::mutex pinned_lock;
std::map<const char*, size_t> pinned;

void unpin(void* data) {
  {
    const std::lock_guard<std::mutex> held(pinned_lock);
    pinned.erase(static_cast<const char*>(data));
  }
  c10::GetCPUAllocator()->raw_deleter()(data);
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = c10::GetCPUAllocator()->raw_allocate(bytes ? bytes : 1);
    const std::lock_guard<std::mutex> held(pinned_lock);
    pinned[static_cast<const char*>(data)] = bytes ? bytes : 1;
    return {data, data, &unpin, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &unpin; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

}  // namespace

c10::Allocator* card_allocator() { return &allocator; }

c10::Storage take_over(c10::Storage host, c10::DeviceIndex card) {
  const auto bytes = static_cast<int64_t>(host.nbytes());
  reserve(bytes, card);
  void* data = host.mutable_data();
  auto* holding = new Holding{c10::DataPtr(), std::move(host), bytes, card};
  return c10::Storage(c10::Storage::use_byte_size_t(), bytes,
                      c10::DataPtr(data, holding, &give_back, c10::Device(CARD, card)), &allocator, /*resizable=*/true);
}

int64_t memory_in_use(int64_t card) { return in_use.at(card); }
int64_t most_memory_in_use(int64_t card) { return most_in_use.at(card); }
void forget_most_memory(int64_t card) { most_in_use.at(card) = in_use.at(card).load(); }
int64_t memory_limit() { return limit(); }
void set_memory_limit(int64_t bytes) { limit() = bytes; }

c10::Allocator* pinned_allocator() {
  static PinnedAllocator allocator;
  return &allocator;
}

bool is_pinned(const void* data) {
  const std::lock_guard<std::mutex> held(pinned_lock);
  auto after = pinned.upper_bound(static_cast<const char*>(data));
  if (after == pinned.begin()) return false;
  --after;
  return static_cast<const char*>(data) < after->first + after->second;
}

}  // namespace standin
