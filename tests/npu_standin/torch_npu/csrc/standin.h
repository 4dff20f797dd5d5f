// What the parts of the device share. A card is torch's PrivateUse1 device, which Python names "npu"; its memory is the
// host's, its kernels are the CPU's, and what a real card would refuse is refused.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>
#include <c10/core/Device.h>
#include <c10/core/Storage.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace standin {

constexpr auto CARD = c10::DeviceType::PrivateUse1;
constexpr int MOST_CARDS = 64;

// device.cpp: the cards of this machine, and which of them is a thread's.
int card_count();
c10::DeviceIndex current_card();
void set_current_card(int64_t card);  // refuses a card that is not there

// memory.cpp: what the tensors of each card take, in bytes, and its limit.
c10::Allocator* card_allocator();
c10::Storage take_over(c10::Storage host, c10::DeviceIndex card);  // the host's memory becomes the card's, without a copy
int64_t memory_in_use(int64_t card);
int64_t most_memory_in_use(int64_t card);
int64_t memory_limit();
void set_memory_limit(int64_t bytes);
void forget_most_memory(int64_t card);
c10::Allocator* pinned_allocator();
bool is_pinned(const void* data);

// generators.cpp: a card's generator is the CPU's algorithm with a state of its own.
const at::Generator& default_generator(int64_t card);
at::Generator new_generator(c10::DeviceIndex card);
at::Generator on_host(const at::Generator& generator);

// views.cpp: the same memory as a tensor of the CPU.
at::Tensor host_view(const at::Tensor& card);

// copies.cpp: copies that were not waited for arrive here.
void finish_copies();

// refusals.cpp: operators that this card does not have, and which operator runs, for messages.
class Running {
 public:
  explicit Running(const std::string& operation);  // refuses what is blocked, and counts the call
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  std::string before_;
};
const std::string& running();
void block(const std::string& operation);
void unblock_all();
int64_t calls(const std::string& operation);
std::map<std::string, int64_t> all_calls();

// numbers.cpp: what a card does where the result of a kernel is not finite.
bool saturates();
void set_saturates(bool value);
bool overflowed(int64_t card);
void clear_overflow(int64_t card);
int64_t infinite_results();  // tensors that a kernel left with a number that is not finite
std::map<std::string, int64_t> overflows();  // by operator, of those that were given finite numbers
bool looks_at_numbers();  // which takes time, so not where nobody asks
void inject_overflow(const std::string& operation, int64_t call);
bool all_finite(const at::Tensor& host);
void settle_numbers(const std::vector<at::Tensor>& written, bool given_finite, c10::DeviceIndex card);

// settings.cpp: text and numbers of the environment.
std::string setting(const char* name, const char* otherwise);
int64_t number(const char* name, int64_t otherwise);
std::vector<std::string> words(const std::string& list);  // between commas

}  // namespace standin
