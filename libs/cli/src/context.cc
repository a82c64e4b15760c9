#include "context.h"

#include "wording.h"

namespace ktrdr::cli {

Result<std::unique_ptr<client::ApiClient>> Context::api(Duration timeout) const {
  TRY_ASSIGN(client::ServerAddress server, client::find_server(options_.address, surroundings_.environment));
  return std::make_unique<client::ApiClient>(std::move(server), timeout);
}

void Context::note(const std::string& words) const {
  surroundings_.streams.err << printable(words) << '\n' << std::flush;
}

void Context::print(const std::string& data) const {
  surroundings_.streams.out << data << (data.ends_with('\n') ? "" : "\n") << std::flush;
}

}  // namespace ktrdr::cli
