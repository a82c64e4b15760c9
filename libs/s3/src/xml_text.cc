#include "xml_text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace ktrdr::s3 {
namespace {

constexpr int kDeepest = 16;
constexpr std::string_view kSpace = " \t\r\n";

struct Entity {
  std::string_view name;
  char character;
};
constexpr Entity kEntities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

void append_utf8(std::string& text, unsigned code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | (code >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xf0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

std::optional<unsigned> character_number(std::string_view name) {  // "#233" or "#xE9"
  const bool is_hex = name.starts_with("#x");
  const std::string_view digits = name.substr(is_hex ? 2 : 1);
  unsigned code = 0;
  const auto [end, failed] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, is_hex ? 16 : 10);
  if (failed != std::errc() || end != digits.data() + digits.size() || code == 0 || code > 0x10ffff)
    return std::nullopt;
  return code;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<XmlElement> document() {
    if (!skip_between() || !rest_.starts_with('<')) return std::nullopt;
    auto root = element(0);
    if (!root || !skip_between() || !rest_.empty()) return std::nullopt;
    return root;
  }

 private:
  bool skip_past(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + end.size());
    return true;
  }

  // False at a comment or a declaration that does not end.
  bool skip_between() {
    for (;;) {
      const std::size_t at = std::min(rest_.find_first_not_of(kSpace), rest_.size());
      rest_.remove_prefix(at);
      if (rest_.starts_with("<?")) {
        if (!skip_past("?>")) return false;
      } else if (rest_.starts_with("<!--")) {
        if (!skip_past("-->")) return false;
      } else {
        return true;
      }
    }
  }

  // "<Name attributes>" or "<Name/>", from its '<'.
  std::optional<XmlElement> element(int depth) {
    rest_.remove_prefix(1);
    XmlElement element;
    const std::size_t end = rest_.find_first_of(" \t\r\n/>");
    if (depth > kDeepest || end == 0 || end == std::string_view::npos || rest_[0] == '!') return std::nullopt;
    element.name = rest_.substr(0, end);
    const std::size_t close = rest_.find('>');  // S3's attributes hold no '>'
    if (close == std::string_view::npos) return std::nullopt;
    const bool is_empty = rest_[close - 1] == '/';
    rest_.remove_prefix(close + 1);
    if (is_empty || content(element, depth)) return element;
    return std::nullopt;
  }

  // Up to and with the closing tag.
  bool content(XmlElement& element, int depth) {
    for (;;) {
      const std::size_t tag = rest_.find('<');
      if (tag == std::string_view::npos || !append_text(element.text, rest_.substr(0, tag))) return false;
      rest_.remove_prefix(tag);
      if (rest_.starts_with("</")) return closing_tag(element.name);
      if (rest_.starts_with("<!--")) {
        if (!skip_past("-->")) return false;
        continue;
      }
      auto child = this->element(depth + 1);
      if (!child) return false;
      element.children.push_back(*std::move(child));
    }
  }

  bool closing_tag(std::string_view name) {
    rest_.remove_prefix(2);
    if (!rest_.starts_with(name)) return false;
    rest_.remove_prefix(name.size());
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size()));
    if (!rest_.starts_with('>')) return false;
    rest_.remove_prefix(1);
    return true;
  }

  static bool append_text(std::string& text, std::string_view raw) {
    while (!raw.empty()) {
      const std::size_t at = std::min(raw.find('&'), raw.size());
      text += raw.substr(0, at);
      raw.remove_prefix(at);
      if (raw.empty()) break;
      const std::size_t end = raw.find(';');
      if (end == std::string_view::npos || !append_entity(text, raw.substr(1, end - 1))) return false;
      raw.remove_prefix(end + 1);
    }
    return true;
  }

  static bool append_entity(std::string& text, std::string_view name) {
    for (const Entity& entity : kEntities) {
      if (entity.name == name) return text += entity.character, true;
    }
    const auto code = name.starts_with('#') ? character_number(name) : std::nullopt;
    if (code) append_utf8(text, *code);
    return code.has_value();
  }

  std::string_view rest_;
};

}  // namespace

std::string XmlElement::text_of(std::string_view child) const {
  for (const XmlElement& element : children) {
    if (element.name == child) return element.text;
  }
  return {};
}

Result<XmlElement> parse_xml(std::string_view text) {
  if (auto root = Parser(text).document()) return *std::move(root);
  return Error(ErrorCode::kIo, "The server's answer is not the XML that S3 speaks.");
}

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const Entity* found = nullptr;
    for (const Entity& entity : kEntities) {
      if (entity.character == c) found = &entity;
    }
    escaped += found == nullptr ? std::string(1, c) : "&" + std::string(found->name) + ";";
  }
  return escaped;
}

}  // namespace ktrdr::s3
