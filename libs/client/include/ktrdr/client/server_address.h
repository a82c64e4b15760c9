// Where the server is, and the token that it wants. A first run needs no set-up: server and command line meet
// in the data folder.
//
//   URL    --url, --port, KTRDR_API_URL, <data folder>/server.url, http://127.0.0.1:8000: the first that is
//   there token  KTRDR_API_TOKEN, else <data folder>/token. The file's token is only sent to this machine,
//   unless the
//          data folder was named: the secret of ~/.ktrdr is not for whatever host a URL happens to name.
//   data folder  --data-dir, KTRDR_DATA_DIR, ~/.ktrdr
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "ktrdr/core/result.h"

namespace ktrdr::client {

struct ServerAddress {
  std::string url;    // "http://127.0.0.1:8000": without a slash or /api/v1 at its end
  std::string token;  // empty: none
};

// What the command line said; what it did not say is empty.
struct AddressOptions {
  std::optional<std::string> url;
  std::optional<int> port;
  std::optional<std::filesystem::path> data_dir;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

std::filesystem::path find_data_dir(const AddressOptions& options, const Environment& environment);

// kInvalidArgument: not an http(s) URL or not a port; a token with characters that no header can carry. kIo:
// a file that is there can't be read.
Result<ServerAddress> find_server(const AddressOptions& options, const Environment& environment);

// "http://host:1/api/v1/" -> "http://host:1".
Result<std::string> normalized_url(std::string text);
bool is_loopback_url(const std::string& url);

}  // namespace ktrdr::client
