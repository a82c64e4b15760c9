#include "disk_history.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "ktrdr/core/check.h"
#include "ktrdr/core/digest.h"

namespace ktrdr::worker::testing {
namespace fs = std::filesystem;
namespace {

using Kind = DiskOperation::Kind;

constexpr int kRoot = 0;
constexpr std::size_t kMostApart = 6;  // pending operations that get a fate of their own at one moment
constexpr int kMixtures = 4;           // random ones at one moment

// "\x2f\x64" as strace -xx prints it.
std::string unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, 2) == "\\x" && i + 4 <= text.size()) {
      bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
      i += 4;
    } else {
      bytes += text[i++];
    }
  }
  return bytes;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

// `name(first, second, …) = result`, with the path of a descriptor in <>.
struct Call {
  std::string name;
  std::vector<std::string> arguments;
  std::string result;

  bool failed() const { return result.starts_with("-") || result.starts_with("?"); }
};

std::string text_in(const std::string& argument) {
  const auto begin = argument.find('"'), end = argument.rfind('"');
  return begin == end ? "" : unescaped(argument.substr(begin + 1, end - begin - 1));
}

std::string path_of_descriptor(const std::string& argument) {
  const auto begin = argument.find('<'), end = argument.rfind('>');
  return begin == std::string::npos ? "" : unescaped(argument.substr(begin + 1, end - begin - 1));
}

Call parse_call(const std::string& text) {
  const auto open = text.find('('), close = text.rfind(") = ");
  CHECK(open != std::string::npos && close != std::string::npos, "a line of strace is a call");
  // strace pads: ")   = 0" was brought to ") = 0" by whoever joined the line.
  Call call{text.substr(0, open), {}, text.substr(close + 4)};
  std::string argument;
  bool quoted = false;
  for (const char c : text.substr(open + 1, close - open - 1)) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) {
      call.arguments.push_back(std::exchange(argument, ""));
    } else {
      argument += c;
    }
  }
  call.arguments.push_back(argument);
  return call;
}

}  // namespace

// Follows the folder as the program saw it, to know which file each path means at each moment.
class HistoryReader {
 public:
  explicit HistoryReader(std::string root) : root_(std::move(root)) { folders_[kRoot]; }

  void read(const std::string& log) {
    std::map<std::string, std::string> unfinished;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
      const auto space = line.find(' ');
      const std::string thread = line.substr(0, space);
      std::string text = line.substr(line.find_first_not_of(' ', space));
      if (text.starts_with("---") || text.starts_with("+++")) continue;
      if (const auto cut = text.find(" <unfinished ...>"); cut != std::string::npos) {
        unfinished[thread] = text.substr(0, cut);
        continue;
      }
      if (text.starts_with("<... ")) text = unfinished[thread] + text.substr(text.find(" resumed>") + 9);
      if (const auto end = text.rfind(')'); end != std::string::npos) {
        const auto equals = text.find("= ", end);
        if (equals == std::string::npos) continue;
        text = text.substr(0, end) + ") = " + text.substr(equals + 2);
      }
      take(parse_call(text));
    }
  }

  DiskHistory history;

 private:
  struct Place {
    int folder = -1;  // -1: outside of the root
    std::string name;
    int node = -1;  // -1: nothing of that name
  };

  // Where a path leads; the root itself is a node without a name.
  Place place_of(std::string path) const {
    if (!path.starts_with(root_ + "/") && path != root_) return {};
    const std::vector<std::string> parts = parts_of(path.substr(root_.size()));
    Place place{.folder = kRoot, .node = kRoot};
    for (const std::string& part : parts) {
      if (place.node < 0 || !folders_.contains(place.node)) return {};
      place.folder = place.node;
      place.name = part;
      const auto& names = folders_.at(place.folder);
      const auto found = names.find(part);
      place.node = found == names.end() ? -1 : found->second;
    }
    return place;
  }

  void add(DiskOperation operation) { history.operations_.push_back(std::move(operation)); }

  int create(const Place& place, const std::string& path) {
    const int node = next_++;
    folders_[place.folder][place.name] = node;
    add({.kind = Kind::kName, .node = node, .folder = place.folder, .name = place.name, .path = path});
    return node;
  }

  void take(const Call& call) {
    if (call.failed()) return;
    if (call.name == "openat") return opened(call);
    if (call.name == "mkdir") return made(call);
    if (call.name == "write" || call.name == "pwrite64") return wrote(call);
    if (call.name == "ftruncate") return truncated(call);
    if (call.name == "fsync" || call.name == "fdatasync") return synced(call);
    if (call.name == "rename") return renamed(call);
    if (call.name == "unlink" || call.name == "rmdir") return removed(text_in(call.arguments[0]));
    if (call.name == "unlinkat") {
      const std::string path = text_in(call.arguments[1]);
      return removed(path.starts_with("/") ? path : path_of_descriptor(call.arguments[0]) + "/" + path);
    }
    CHECK(false, "a call that changes files and is not understood");
  }

  void opened(const Call& call) {
    const std::string path = path_of_descriptor(call.result);
    const Place place = place_of(path);
    if (place.folder < 0) return;
    if (place.node < 0) create(place, path);
    CHECK(call.arguments[2].find("O_TRUNC") == std::string::npos, "nothing here truncates what it opens");
  }

  void made(const Call& call) {
    const std::string path = text_in(call.arguments[0]);
    const Place place = place_of(path);
    if (place.folder >= 0) folders_[create(place, path)];
  }

  void wrote(const Call& call) {
    const std::string path = path_of_descriptor(call.arguments[0]);
    const auto size = static_cast<std::size_t>(std::stoull(call.result));
    const std::string bytes = text_in(call.arguments[1]).substr(0, size);
    CHECK(bytes.size() == size, "strace logs every byte");
    if (call.arguments[0].starts_with("1<")) return add({.kind = Kind::kSaid, .bytes = bytes});
    const Place place = place_of(path);
    if (place.folder < 0) return;
    CHECK(place.node > 0, "only what has a name is written");
    std::uint64_t& length = lengths_[place.node];
    const std::uint64_t at =
        call.name == "write" ? length : std::stoull(call.arguments[3]);  // ours only append
    length = std::max(length, at + size);
    add({.kind = Kind::kWrite, .node = place.node, .offset = at, .bytes = bytes, .path = path});
  }

  void truncated(const Call& call) {
    const Place place = place_of(path_of_descriptor(call.arguments[0]));
    if (place.folder < 0 || place.node < 0) return;
    lengths_[place.node] = std::stoull(call.arguments[1]);
    add({.kind = Kind::kTruncate, .node = place.node, .offset = lengths_[place.node]});
  }

  void synced(const Call& call) {
    const std::string path = path_of_descriptor(call.arguments[0]);
    const Place place = place_of(path);
    if (place.folder < 0 || place.node < 0) return;
    add({.kind = Kind::kSync, .node = place.node, .path = path, .on_folder = folders_.contains(place.node)});
  }

  void renamed(const Call& call) {
    const std::string path = text_in(call.arguments[1]);
    const Place from = place_of(text_in(call.arguments[0])), to = place_of(path);
    if (from.folder < 0) return;
    CHECK(from.node > 0 && to.folder >= 0, "it is renamed within the folder");
    folders_[from.folder].erase(from.name);
    folders_[to.folder][to.name] = from.node;
    add({.kind = Kind::kRename,
         .node = from.node,
         .folder = from.folder,
         .name = from.name,
         .folder_to = to.folder,
         .name_to = to.name,
         .path = path});
  }

  void removed(const std::string& path) {
    const Place place = place_of(path);
    if (place.folder < 0 || place.node < 0) return;
    folders_[place.folder].erase(place.name);
    add({.kind = Kind::kUnname,
         .node = place.node,
         .folder = place.folder,
         .name = place.name,
         .path = path});
  }

  const std::string root_;
  int next_ = 1;
  std::map<int, std::map<std::string, int>> folders_;  // as the program sees them now
  std::map<int, std::uint64_t> lengths_;
};

DiskHistory DiskHistory::parse(const std::string& log, const std::string& root) {
  HistoryReader reader(root);
  reader.read(log);
  return std::move(reader.history);
}

namespace {

bool is_data(const DiskOperation& operation) {
  return operation.kind == Kind::kWrite || operation.kind == Kind::kTruncate;
}
bool is_name(const DiskOperation& operation) {
  return operation.kind == Kind::kName || operation.kind == Kind::kUnname || operation.kind == Kind::kRename;
}

bool makes_durable(const DiskOperation& sync, const DiskOperation& operation) {
  if (sync.kind != Kind::kSync) return false;
  if (is_data(operation)) return !sync.on_folder && sync.node == operation.node;
  const int folder = operation.kind == Kind::kRename ? operation.folder_to : operation.folder;
  return is_name(operation) && sync.on_folder && sync.node == folder;
}

void apply_data(const DiskOperation& operation, Fate fate, std::string& content) {
  if (operation.kind == Kind::kTruncate) {
    content.resize(operation.offset);
    return;
  }
  const std::size_t end = operation.offset + operation.bytes.size();
  if (content.size() < end) content.resize(end);  // zeros: the length came before the data
  if (fate == Fate::kLengthOnly) return;
  const std::size_t part = fate == Fate::kTorn ? operation.bytes.size() / 2 : operation.bytes.size();
  content.replace(operation.offset, part, operation.bytes, 0, part);
}

using Folders = std::map<int, std::map<std::string, int>>;

void apply_name(const DiskOperation& operation, Folders& folders) {
  if (operation.kind == Kind::kName) {
    folders[operation.folder][operation.name] = operation.node;
    return;
  }
  auto& names = folders[operation.folder];
  if (const auto found = names.find(operation.name); found != names.end() && found->second == operation.node)
    names.erase(found);
  if (operation.kind == Kind::kRename) folders[operation.folder_to][operation.name_to] = operation.node;
}

}  // namespace

std::vector<std::size_t> DiskHistory::pending_before(std::size_t moment) const {
  std::vector<std::size_t> pending;
  for (std::size_t i = 0; i < moment; ++i) {
    const DiskOperation& operation = operations_[i];
    if (!is_data(operation) && !is_name(operation)) continue;
    const auto begin = operations_.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = operations_.begin() + static_cast<std::ptrdiff_t>(moment);
    const bool durable =
        std::any_of(begin, end, [&](const auto& later) { return makes_durable(later, operation); });
    if (!durable) pending.push_back(i);
  }
  return pending;
}

CrashState DiskHistory::state(std::size_t moment, const std::map<std::size_t, Fate>& fates) const {
  Folders folders;
  std::set<int> is_folder = {kRoot};
  std::map<int, std::string> contents;
  CrashState state;
  for (const DiskOperation& operation : operations_) {  // what is a folder is known from what is done in it
    if (is_name(operation)) is_folder.insert({operation.folder, operation.folder_to});
    if (operation.kind == Kind::kSync && operation.on_folder) is_folder.insert(operation.node);
  }
  for (std::size_t i = 0; i < moment; ++i) {
    const DiskOperation& operation = operations_[i];
    const auto found = fates.find(i);
    const Fate fate = found == fates.end() ? Fate::kKept : found->second;
    if (operation.kind == Kind::kSaid) state.said += operation.bytes;
    if (fate == Fate::kLost) continue;
    if (is_data(operation)) apply_data(operation, fate, contents[operation.node]);
    if (is_name(operation)) apply_name(operation, folders);
  }
  const std::function<void(int, const std::string&)> walk = [&](int folder, const std::string& path) {
    for (const auto& [name, node] : folders[folder]) {
      if (!is_folder.contains(node)) {
        state.files[path + name] = contents[node];
        continue;
      }
      state.folders.push_back(path + name);
      walk(node, path + name + "/");
    }
  };
  walk(kRoot, "");
  state.story = "after operation " + std::to_string(moment);
  for (const auto& [i, fate] : fates) {
    if (fate == Fate::kKept) continue;
    state.story += "\n  " +
                   std::string(fate == Fate::kLost   ? "lost"
                               : fate == Fate::kTorn ? "torn"
                                                     : "only the length of") +
                   (is_name(operations_[i]) ? " name " : " write ") + operations_[i].path;
  }
  return state;
}

std::vector<CrashState> DiskHistory::crash_states(std::size_t most, std::uint32_t seed) const {
  std::mt19937 random(seed);
  std::set<std::string> seen;
  std::vector<CrashState> states;
  for (std::size_t moment = 0; moment <= operations_.size(); ++moment) {
    const std::vector<std::size_t> pending = pending_before(moment);
    std::vector<std::map<std::size_t, Fate>> choices;
    const auto all = [&](Fate data, Fate names) {
      std::map<std::size_t, Fate> fates;
      for (const std::size_t i : pending) fates[i] = is_data(operations_[i]) ? data : names;
      return fates;
    };
    for (const Fate data : {Fate::kKept, Fate::kLost, Fate::kLengthOnly, Fate::kTorn}) {
      for (const Fate names : {Fate::kKept, Fate::kLost}) choices.push_back(all(data, names));
    }
    std::vector<std::size_t> some = pending;
    std::shuffle(some.begin(), some.end(), random);
    some.resize(std::min(some.size(), kMostApart));
    for (const std::size_t i : some) {
      choices.push_back(all(Fate::kKept, Fate::kKept));
      choices.back()[i] = Fate::kLost;
      choices.push_back(all(Fate::kLost, Fate::kLost));
      choices.back()[i] = Fate::kKept;
    }
    for (int mixture = 0; mixture < kMixtures && pending.size() > 1; ++mixture) {
      choices.emplace_back();
      for (const std::size_t i : pending) {
        const auto die = random() % (is_data(operations_[i]) ? 4 : 2);
        choices.back()[i] = static_cast<Fate>(die);
      }
    }
    for (const auto& fates : choices) {
      CrashState crashed = state(moment, fates);
      if (seen.insert(crashed.digest()).second) states.push_back(std::move(crashed));
    }
  }
  std::shuffle(states.begin(), states.end(), random);
  states.resize(std::min(states.size(), most));
  return states;
}

void CrashState::write_to(const fs::path& folder) const {
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const std::string& name : folders) fs::create_directories(folder / name);
  for (const auto& [name, content] : files) std::ofstream(folder / name, std::ios::binary) << content;
}

std::string CrashState::digest() const {
  std::string all = said + '\n';
  for (const std::string& name : folders) all += name + "/\n";
  for (const auto& [name, content] : files)
    all += name + " " + xxh3_128_hex(std::as_bytes(std::span(content))) + "\n";
  return xxh3_128_hex(std::as_bytes(std::span(all)));
}

}  // namespace ktrdr::worker::testing
