#include "postgres_address.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

namespace ktrdr::storage {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Parsed = std::unique_ptr<PQconninfoOption, FreeOptions>;

// A machine that vanished without a word is noticed in half a minute, not in the kernel's two hours.
constexpr std::array<std::pair<const char*, const char*>, 6> kDefaults = {{{"connect_timeout", "5"},
                                                                           {"keepalives_idle", "10"},
                                                                           {"keepalives_interval", "5"},
                                                                           {"keepalives_count", "3"},
                                                                           {"tcp_user_timeout", "15000"},
                                                                           {"application_name", "ktrdr"}}};

Error unreadable() {
  return {
      ErrorCode::kInvalidArgument,
      "The database's address can't be read; write postgresql://user:password@host:port/database and encode"
      " special characters of the password (@ is %40, / is %2F, % is %25)."};
}

// A password with an unencoded @ or / is read as a part of the host, the port or the name of the database,
// which are shown in messages.
bool may_hold_password(std::string_view key, std::string_view value) {
  if (key == "port") return value.find_first_not_of("0123456789,") != std::string_view::npos;
  const bool is_shown = key == "host" || key == "dbname" || key == "user";
  return is_shown && value.find('@') != std::string_view::npos;
}

template <class Map>
std::string value_of(const Map& options, std::string_view key) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.first == key; });
  return found == options.end() ? "" : std::string(found->second);
}

template <class Map>
std::string name_of(const Map& options) {
  const std::string host = value_of(options, "host"), address = value_of(options, "hostaddr");
  const std::string port = value_of(options, "port"), database = value_of(options, "dbname");
  const std::string where = !host.empty() ? host : !address.empty() ? address : "the local socket";
  return (database.empty() ? "of the user's name" : database) + " at " + where +
         (port.empty() ? "" : ":" + port);
}

}  // namespace

Result<PostgresAddress> PostgresAddress::parse(const std::string& uri) {
  const bool is_uri = uri.starts_with("postgresql://") || uri.starts_with("postgres://");
  const Parsed parsed(is_uri ? PQconninfoParse(uri.c_str(), nullptr) : nullptr);
  if (!parsed) return unreadable();
  PostgresAddress address;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    if (may_hold_password(option->keyword, option->val)) return unreadable();
    address.options_.emplace_back(option->keyword, option->val);
  }
  address.name_ = name_of(address.options_);
  address.password_ = value_of(address.options_, "password");
  for (const auto& [key, value] : kDefaults) {
    if (value_of(address.options_, key).empty()) address.options_.emplace_back(key, value);
  }
  address.options_.emplace_back("client_encoding", "UTF8");
  return address;
}

std::string PostgresAddress::without_password(std::string message) const {
  for (std::size_t at = message.find(password_); !password_.empty() && at != std::string::npos;
       at = message.find(password_, at)) {
    message.replace(at, password_.size(), "***");
    at += 3;
  }
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return message;
}

}  // namespace ktrdr::storage
