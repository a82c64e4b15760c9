#include "json_document.h"

#include "ktrdr/api/operation.h"

namespace ktrdr::cli {

// Only the api library writes JSON, and it has no bare strings: the value of its smallest message is one.
std::string json_string(std::string_view text) {
  constexpr std::string_view kName = R"("message":)";
  const std::string message = api::to_json(api::MessageResponse{.message = std::string(text)});
  const std::size_t value = message.find(kName) + kName.size();
  return message.substr(value, message.size() - value - 1);
}

JsonObject& JsonObject::add_json(std::string_view name, std::string_view json) {
  members_.append(members_.empty() ? "" : ",").append(json_string(name)).append(":").append(json);
  return *this;
}

}  // namespace ktrdr::cli
