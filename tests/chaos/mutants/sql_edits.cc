// Preloaded into a server: makes a mistake in what it says to PostgreSQL. Every statement of the product is
// prepared once, and here its text passes on the way to libpq. KTRDR_SQL_EDITS holds the edits, a line each:
// the words, a tab, and what stands for them.
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

struct pg_conn;

namespace {

using Edits = std::vector<std::pair<std::string, std::string>>;

Edits read_edits() {
  Edits edits;
  const char* const given = std::getenv("KTRDR_SQL_EDITS");
  const std::string text = given != nullptr ? given : "";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t tab = text.find('\t', at), end = text.find('\n', at);
    edits.emplace_back(text.substr(at, tab - at), text.substr(tab + 1, end - tab - 1));
    at = end + 1;
  }
  return edits;
}

std::string edited(std::string statement) {
  static const Edits edits = read_edits();
  for (const auto& [words, mistake] : edits) {
    const std::size_t at = statement.find(words);
    if (at != std::string::npos) statement.replace(at, words.size(), mistake);
  }
  return statement;
}

}  // namespace

extern "C" int PQsendPrepare(pg_conn* connection, const char* name, const char* statement, int count,
                             const unsigned* types) {
  static const auto real = reinterpret_cast<decltype(&PQsendPrepare)>(::dlsym(RTLD_NEXT, "PQsendPrepare"));
  return real(connection, name, edited(statement).c_str(), count, types);
}
