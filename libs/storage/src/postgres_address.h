// Where a PostgreSQL database is. Knows the password, and never shows it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::storage {

class PostgresAddress {
 public:
  // kInvalidArgument, without the URI's text: what libpq can't read may hold the password anywhere.
  static Result<PostgresAddress> parse(const std::string& uri);

  // "ops at db.example:5432", for messages.
  const std::string& name() const { return name_; }
  // libpq's keywords and values, with our defaults for those that the URI leaves open.
  const std::vector<std::pair<std::string, std::string>>& options() const { return options_; }
  // A message of libpq or of the server, on one line.
  std::string without_password(std::string message) const;

 private:
  std::string name_, password_;
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace ktrdr::storage
