// The environment that a process is started with. README.md lists the names.
#include "standin.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <sstream>

namespace standin {

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

int64_t number(const char* name, int64_t otherwise) {
  const std::string value = setting(name, "");
  if (value.empty()) return otherwise;
  TORCH_CHECK(value.find_first_not_of("0123456789") == std::string::npos, name, "=", value, ": expected a number");
  return std::stoll(value);
}

std::vector<std::string> words(const std::string& list) {
  std::vector<std::string> found;
  std::istringstream stream(list);
  for (std::string word; std::getline(stream, word, ',');) {
    if (!word.empty()) found.push_back(word);
  }
  return found;
}

}  // namespace standin
