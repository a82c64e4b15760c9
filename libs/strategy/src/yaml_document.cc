#include "yaml_document.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

namespace ktrdr::strategy {
namespace {

constexpr std::size_t kMostLevels = 32;
constexpr std::size_t kMostNodes = 100'000;

// Measures the document as if every alias were written out, before a tree is built.
class LimitsCheck final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(mark, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                const std::string&) override {
    leaf(mark, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = sizes_.find(anchor);
    if (target == sizes_.end()) throw YAML::ParserException(mark, "this alias contains itself");
    add(mark, target->second);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YAML::anchor_t anchor;
    std::size_t nodes_before;
  };

  void add(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMostNodes)
      throw YAML::ParserException(mark, "the file has too many entries (100000 at most)");
  }
  void leaf(const YAML::Mark& mark, YAML::anchor_t anchor) {
    add(mark, 1);
    if (anchor != 0) sizes_[anchor] = 1;
  }
  void open(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kMostLevels) {
      throw YAML::ParserException(mark, "the file is nested too deeply (32 levels at most)");
    }
    open_.push_back({anchor, nodes_});
    add(mark, 1);
  }
  void close() {
    const Open closed = open_.back();
    open_.pop_back();
    if (closed.anchor != 0) sizes_[closed.anchor] = nodes_ - closed.nodes_before;
  }

  std::size_t nodes_ = 0;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, std::size_t> sizes_;  // of finished anchors, aliases written out
};

// The length of the well-formed UTF-8 sequence (RFC 3629) at the start of `rest`, or 0.
std::size_t utf8_sequence(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first >= 1 && first <= 0x7F) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0U : 0x80U;
    const unsigned high = first == 0xED ? 0x9FU : 0xBFU;  // no surrogates
    return follows(1, low, high) && follows(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90U : 0x80U;
    const unsigned high = first == 0xF4 ? 0x8FU : 0xBFU;
    return follows(1, low, high) && follows(2, 0x80, 0xBF) && follows(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

bool is_plain_text(std::string_view text, Problems& problems) {
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_sequence(text.substr(at));
    if (length == 0) {
      problems.invalid(line, "",
                       text[at] == '\0' ? "contains a NUL byte; save the file as UTF-8 text"
                                        : "is not UTF-8; save the file as UTF-8 text");
      return false;
    }
    if (text[at] == '\n') ++line;
    at += length;
  }
  return true;
}

std::string key_name(const YAML::Node& key) { return key.IsScalar() ? key.Scalar() : "?"; }

// Depth and size were limited before, so this ends soon.
void report_duplicate_keys(const YAML::Node& node, const std::string& path, Problems& problems) {
  if (node.IsSequence()) {
    std::size_t index = 0;
    for (const auto& item : node)
      report_duplicate_keys(item, path + '[' + std::to_string(index++) + ']', problems);
  }
  if (!node.IsMap()) return;
  std::map<std::string, int> first_lines;
  for (const auto& entry : node) {
    const std::string name = key_name(entry.first);
    const std::string entry_path = path.empty() ? path_word(name) : path + '.' + path_word(name);
    const int line = entry.first.Mark().line + 1;
    const auto [first, is_new] = first_lines.try_emplace(name, line);
    if (!is_new) {
      problems.invalid(
          line, entry_path,
          "is written twice, first on line " + std::to_string(first->second) + "; keep one of them");
    }
    report_duplicate_keys(entry.second, entry_path, problems);
  }
}

YAML::Node load_checked(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  LimitsCheck limits;
  if (!parser.HandleNextDocument(limits)) return YAML::Node();
  LimitsCheck more;
  if (parser.HandleNextDocument(more)) {
    throw YAML::ParserException(YAML::Mark::null_mark(),
                                "a second document follows after ---; keep one per file");
  }
  return YAML::Load(text);
}

}  // namespace

std::optional<YAML::Node> load_yaml(std::string_view text, Problems& problems) {
  if (!is_plain_text(text, problems)) return std::nullopt;
  try {
    YAML::Node root = load_checked(std::string(text));
    report_duplicate_keys(root, "", problems);
    return root;
  } catch (const YAML::Exception& error) {
    problems.invalid(std::max(error.mark.line, 0) + 1, "", "is not YAML that can be read: " + error.msg);
  } catch (const std::exception& error) {
    problems.invalid(1, "", std::string("is not YAML that can be read: ") + error.what());
  }
  return std::nullopt;
}

}  // namespace ktrdr::strategy
