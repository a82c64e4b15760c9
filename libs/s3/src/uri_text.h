// Percent-encoding as Signature Version 4 wants it: everything but A-Z a-z 0-9 - . _ ~ is encoded, in upper
// case. curl signs path and query as they are given, so they must be canonical.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktrdr::s3 {

using Query = std::vector<std::pair<std::string, std::string>>;  // not encoded yet, in any order

std::string encode_path(std::string_view path);  // slashes stay
std::string encode_query(const Query& query);    // sorted; a name without value is "name="
std::string decode_uri(std::string_view text);   // '+' is a space; what is no encoding stays as it is

}  // namespace ktrdr::s3
