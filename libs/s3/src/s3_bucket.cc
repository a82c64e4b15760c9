// How an object is created so that it is there whole or not at all, and only once:
//
//   - An object of one part is one PUT; S3 shows it when the last byte has come and its digest was right.
//   - A larger one is a multipart upload: nothing is visible before "complete". Whatever fails before, the
//   parts are
//     given up; an upload whose writer died is found by list_uploads().
//   - PUT and "complete" carry If-None-Match: *. A server that answers 501 to that (Swift) is asked without
//   from then
//     on.
//   - When an answer was lost and the request is repeated, the server says 412 (or, of an upload, that there
//   is none):
//     by the object's own success. Each creation writes a random word of its own into the object's metadata,
//     and reads it back to tell.
#include "ktrdr/s3/s3_bucket.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <limits>
#include <thread>
#include <utility>

#include "exchange.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/log.h"
#include "refusal.h"
#include "xml_text.h"

namespace ktrdr::s3 {
namespace {

constexpr std::string_view kWriterHeader = "x-amz-meta-ktrdr-writer";
constexpr std::string_view kOnlyIfAbsent = "If-None-Match: *";
constexpr std::uint64_t kMostParts = 10'000;

std::uint64_t total_size(const Pieces& pieces) {
  std::uint64_t size = 0;
  for (const auto& piece : pieces) size += piece.size();
  return size;
}

// The bytes [from, from + length) of all pieces, where they lie.
Pieces slice(const Pieces& pieces, std::uint64_t from, std::uint64_t length) {
  Pieces found;
  for (const auto& piece : pieces) {
    const std::uint64_t skipped = std::min<std::uint64_t>(from, piece.size());
    const std::uint64_t taken = std::min<std::uint64_t>(length, piece.size() - skipped);
    if (taken > 0) found.push_back(piece.subspan(skipped, taken));
    from -= skipped;
    length -= taken;
  }
  return found;
}

Pieces pieces_of(const std::string& text) { return {std::as_bytes(std::span(text))}; }

std::string completion(const std::vector<std::string>& etags) {
  std::string xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < etags.size(); ++i) {
    xml += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + escape_xml(etags[i]) +
           "</ETag></Part>";
  }
  return xml + "</CompleteMultipartUpload>";
}

std::string header_of(const Answer& answer, std::string_view name) {
  const auto found = answer.headers.find(std::string(name));
  return found == answer.headers.end() ? "" : found->second;
}

Result<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed == std::errc() && end == text.data() + text.size()) return value;
  return Error(ErrorCode::kIo, "The S3 server's answer has no size where one belongs.");
}

// With encoding-type=url keys come percent-encoded, so that any key fits into XML; not every server does it.
std::string key_in(const XmlElement& page, const std::string& text) {
  return page.text_of("EncodingType") == "url" ? decode_uri(text) : text;
}

// How the next page is asked for: a parameter of the query, and the element of the page that has its value.
struct Marker {
  std::string_view parameter;
  std::string_view element;
  bool is_key;
};
constexpr std::array kObjectMarkers = {Marker{"continuation-token", "NextContinuationToken", false}};
constexpr std::array kUploadMarkers = {Marker{"key-marker", "NextKeyMarker", true},
                                       Marker{"upload-id-marker", "NextUploadIdMarker", false}};

Query next_page(const XmlElement& page, std::span<const Marker> markers) {
  Query next;
  for (const Marker& marker : markers) {
    const std::string value = page.text_of(marker.element);
    next.emplace_back(marker.parameter, marker.is_key ? key_in(page, value) : value);
  }
  return next;
}

}  // namespace

class S3Bucket::Conversation {
 public:
  Conversation(S3Settings settings, S3Patience patience, S3Sizes sizes)
      : exchanger_(std::move(settings)), patience_(std::move(patience)), sizes_(sizes) {
    if (!patience_.pause) patience_.pause = [](Duration pause) { std::this_thread::sleep_for(pause); };
  }

  struct Told {
    Answer answer;
    int tries = 1;
  };

  // The answer, good or not, but never a transient one: that is an error once patience has ended.
  Result<Told> ask(const Exchange& exchange, int most_tries) {
    const Duration began = clock_.monotonic();
    Duration pause = patience_.first_pause;
    for (int tries = 1;; ++tries, pause *= 2) {
      Result<Answer> answer = try_once(exchange);
      const bool is_outage = !answer.ok() && answer.error().code == ErrorCode::kUnavailable;
      if (!answer.ok() && !is_outage) return std::move(answer).error();
      if (answer.ok() && (answer->is_good() || !is_transient(*answer)))
        return Told{*std::move(answer), tries};
      const bool is_over = tries >= std::min(most_tries, patience_.most_tries) ||
                           clock_.monotonic() - began > patience_.no_new_try_after;
      if (is_over) return is_outage ? unreachable(answer.error()) : error_of(*answer, exchange, settings());
      patience_.pause(pause);
    }
  }
  Result<Told> ask(const Exchange& exchange) { return ask(exchange, patience_.most_tries); }

  // As above, but whatever is not good is an error.
  Result<Answer> ask_well(const Exchange& exchange) {
    TRY_ASSIGN(Told told, ask(exchange));
    if (told.answer.is_good()) return std::move(told.answer);
    return error_of(told.answer, exchange, settings());
  }

  // The last step of a creation: `exchange` makes the object visible.
  Result<void> publish(Exchange exchange, const std::string& writer) {
    const std::vector<std::string> plain = exchange.header_lines;
    const bool is_conditional = has_conditions_;
    if (is_conditional) exchange.header_lines.emplace_back(kOnlyIfAbsent);
    TRY_ASSIGN(Told told, ask(exchange));
    if (is_conditional && told.answer.status == 501) {
      has_conditions_ = false;
      exchange.header_lines = plain;
      TRY_ASSIGN(told, ask(exchange));
    }
    if (told.answer.is_good()) return {};
    if (told.tries > 1 && is_written_by(exchange.key, writer)) return {};
    return error_of(told.answer, exchange, settings());
  }

  Result<void> create_whole(const std::string& key, const Pieces& pieces) {
    const std::string writer = random_hex(16);
    return publish({.method = "PUT",
                    .key = key,
                    .query = {},
                    .header_lines = {std::string(kWriterHeader) + ": " + writer},
                    .payload = pieces},
                   writer);
  }

  Result<void> create_in_parts(const std::string& key, const Pieces& pieces) {
    const std::string writer = random_hex(16);
    TRY_ASSIGN(const S3Upload upload, begin_upload(key, writer));
    auto etags = send_parts(upload, pieces);
    auto done = etags.ok() ? complete(upload, *etags, writer) : Result<void>(std::move(etags).error());
    if (done.ok()) return done;
    static_cast<void>(abort(upload, 1).ok());  // only to give the space back; list_uploads() finds it later
    Error error = std::move(done).error();
    if (error.code != ErrorCode::kNotFound) return error;
    return Error(ErrorCode::kIo, "The unfinished upload of " + key + " was taken away.");
  }

  Result<void> abort(const S3Upload& upload, int most_tries) {
    const Exchange exchange{.method = "DELETE", .key = upload.key, .query = {{"uploadId", upload.id}}};
    TRY_ASSIGN(const Told told, ask(exchange, most_tries));
    return gone(told.answer, exchange);
  }

  Result<void> gone(const Answer& answer, const Exchange& exchange) const {
    if (answer.is_good()) return {};
    Error error = error_of(answer, exchange, settings());
    if (error.code == ErrorCode::kNotFound) return {};
    return error;
  }

  Result<std::vector<XmlElement>> pages(const Query& query, std::span<const Marker> markers) {
    std::vector<XmlElement> pages;
    Query next;
    for (;;) {
      Exchange exchange{.key = "", .query = query};
      exchange.query.insert(exchange.query.end(), next.begin(), next.end());
      TRY_ASSIGN(const Answer answer, ask_well(exchange));
      TRY_ASSIGN(XmlElement page, parse_xml(answer.body));
      const bool is_last = page.text_of("IsTruncated") != "true";
      Query following = next_page(page, markers);
      pages.push_back(std::move(page));
      if (is_last) return pages;
      if (following == next) return Error(ErrorCode::kIo, "The S3 server's listing does not end.");
      next = std::move(following);
    }
  }

  Query object_query(const std::string& prefix) const {
    return {{"list-type", "2"},
            {"encoding-type", "url"},
            {"max-keys", std::to_string(sizes_.page)},
            {"prefix", prefix}};
  }
  Query upload_query(const std::string& prefix) const {
    return {{"uploads", ""},
            {"encoding-type", "url"},
            {"max-uploads", std::to_string(sizes_.page)},
            {"prefix", prefix}};
  }

  const S3Settings& settings() const { return exchanger_.settings(); }
  const S3Sizes& sizes() const { return sizes_; }

 private:
  // A completion that fails after its first byte was sent is an <Error> under 200 OK.
  Result<Answer> try_once(const Exchange& exchange) {
    TRY_ASSIGN(Answer answer, exchanger_.perform(exchange));
    if (exchange.method == "POST" && answer.is_good() && !refusal_code(answer).empty())
      answer.status = is_transient(answer) ? 503 : 400;
    return answer;
  }

  Error unreachable(const Error& reason) const {
    return {ErrorCode::kUnavailable, "The S3 server at " + settings().url + " can't be reached: " +
                                         reason.message + ". Check AWS_ENDPOINT_URL when this lasts."};
  }

  bool is_written_by(const std::string& key, const std::string& writer) {
    const auto answer = ask_well({.method = "HEAD", .key = key, .query = {}});
    return answer.ok() && header_of(*answer, kWriterHeader) == writer;
  }

  Result<S3Upload> begin_upload(const std::string& key, const std::string& writer) {
    const Exchange exchange{.method = "POST",
                            .key = key,
                            .query = {{"uploads", ""}},
                            .header_lines = {std::string(kWriterHeader) + ": " + writer}};
    TRY_ASSIGN(const Answer answer, ask_well(exchange));
    TRY_ASSIGN(const XmlElement root, parse_xml(answer.body));
    S3Upload upload{key, root.text_of("UploadId")};
    if (upload.id.empty()) return Error(ErrorCode::kIo, "The S3 server began an upload without a name.");
    return upload;
  }

  Result<std::vector<std::string>> send_parts(const S3Upload& upload, const Pieces& pieces) {
    const std::uint64_t size = total_size(pieces);
    const std::uint64_t part = std::max(sizes_.part, (size + kMostParts - 1) / kMostParts);
    std::vector<std::string> etags;
    for (std::uint64_t at = 0; at < size; at += part) {
      const Exchange exchange{
          .method = "PUT",
          .key = upload.key,
          .query = {{"partNumber", std::to_string(etags.size() + 1)}, {"uploadId", upload.id}},
          .header_lines = {},
          .payload = slice(pieces, at, part)};
      TRY_ASSIGN(const Answer answer, ask_well(exchange));
      etags.push_back(header_of(answer, "etag"));
    }
    return etags;
  }

  Result<void> complete(const S3Upload& upload, const std::vector<std::string>& etags,
                        const std::string& writer) {
    const std::string body = completion(etags);
    return publish({.method = "POST",
                    .key = upload.key,
                    .query = {{"uploadId", upload.id}},
                    .header_lines = {},
                    .payload = pieces_of(body)},
                   writer);
  }

  Exchanger exchanger_;
  S3Patience patience_;
  const S3Sizes sizes_;
  const SystemClock clock_;
  std::atomic<bool> has_conditions_ = true;  // until the server says 501
};

S3Bucket::S3Bucket(S3Settings settings, S3Patience patience, S3Sizes sizes)
    : conversation_(std::make_unique<Conversation>(std::move(settings), std::move(patience), sizes)) {}
S3Bucket::~S3Bucket() = default;

Result<void> S3Bucket::create(const std::string& key, const std::vector<std::span<const std::byte>>& pieces) {
  const bool is_small = total_size(pieces) <= conversation_->sizes().part;
  return is_small ? conversation_->create_whole(key, pieces) : conversation_->create_in_parts(key, pieces);
}

Result<std::string> S3Bucket::get(const std::string& key, std::uint64_t at_most) const {
  TRY_ASSIGN(Answer answer, conversation_->ask_well({.key = key, .query = {}, .at_most = at_most}));
  return std::move(answer.body);
}

Result<std::uint64_t> S3Bucket::get_into(const std::string& key, std::span<std::byte> memory) const {
  TRY_ASSIGN(const Answer answer, conversation_->ask_well({.key = key, .query = {}, .into = memory}));
  return answer.size;
}

Result<std::optional<std::uint64_t>> S3Bucket::size_of(const std::string& key) const {
  const auto answer = conversation_->ask_well({.method = "HEAD", .key = key, .query = {}});
  if (!answer.ok() && answer.error().code == ErrorCode::kNotFound) return std::optional<std::uint64_t>();
  if (!answer.ok()) return Error(answer.error());
  TRY_ASSIGN(const std::uint64_t size, number(header_of(*answer, "content-length")));
  return std::optional(size);
}

Result<void> S3Bucket::remove(const std::string& key) {
  const Exchange exchange{.method = "DELETE", .key = key, .query = {}};
  TRY_ASSIGN(const Conversation::Told told, conversation_->ask(exchange));
  return conversation_->gone(told.answer, exchange);
}

Result<std::vector<S3Object>> S3Bucket::list(const std::string& prefix) const {
  TRY_ASSIGN(const auto pages, conversation_->pages(conversation_->object_query(prefix), kObjectMarkers));
  std::vector<S3Object> objects;
  for (const XmlElement& page : pages) {
    for (const XmlElement& entry : page.children) {
      if (entry.name != "Contents") continue;
      TRY_ASSIGN(const std::uint64_t size, number(entry.text_of("Size")));
      objects.push_back({key_in(page, entry.text_of("Key")), size});
    }
  }
  std::ranges::sort(objects, {}, &S3Object::key);
  return objects;
}

Result<std::vector<std::string>> S3Bucket::list_folders(const std::string& prefix) const {
  Query query = conversation_->object_query(prefix);
  query.emplace_back("delimiter", "/");
  TRY_ASSIGN(const auto pages, conversation_->pages(query, kObjectMarkers));
  std::vector<std::string> folders;
  for (const XmlElement& page : pages) {
    for (const XmlElement& entry : page.children) {
      const std::string folder = entry.name == "CommonPrefixes" ? key_in(page, entry.text_of("Prefix")) : "";
      if (folder.size() > prefix.size() + 1)
        folders.push_back(folder.substr(prefix.size(), folder.size() - prefix.size() - 1));
    }
  }
  std::ranges::sort(folders);
  return folders;
}

Result<std::vector<S3Upload>> S3Bucket::list_uploads(const std::string& prefix) const {
  TRY_ASSIGN(const auto pages, conversation_->pages(conversation_->upload_query(prefix), kUploadMarkers));
  std::vector<S3Upload> uploads;
  for (const XmlElement& page : pages) {
    for (const XmlElement& entry : page.children) {
      if (entry.name == "Upload")
        uploads.push_back({key_in(page, entry.text_of("Key")), entry.text_of("UploadId")});
    }
  }
  return uploads;
}

Result<void> S3Bucket::abort(const S3Upload& upload) {
  return conversation_->abort(upload, std::numeric_limits<int>::max());
}

Result<void> S3Bucket::check_access() const {
  const Query query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", settings().place.prefix}};
  TRY(conversation_->ask_well({.key = "", .query = query}));
  return {};
}

const S3Settings& S3Bucket::settings() const { return conversation_->settings(); }

}  // namespace ktrdr::s3
