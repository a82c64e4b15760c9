// What makes libcurl 7.88 sign as S3 wants it:
//   - x-amz-content-sha256 on every request, also on those without a payload: curl signs it but does not make
//   it;
//   - path and query already canonical: curl signs them as they are;
//   - never a header like "Expect:" to suppress one: curl would sign what it then does not send.
#include "exchange.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ktrdr/core/digest.h"
#include "ktrdr/core/log.h"
#include "ktrdr/curl/easy_pool.h"

namespace ktrdr::s3 {
namespace {

using curl::append;
using curl::set;
using curl::status_of;

constexpr std::size_t kMostIdle = 4;
constexpr std::size_t kLargestRefusal = std::size_t{64} << 10;
constexpr Duration kConnectWithin = std::chrono::seconds(3);
constexpr long kLongestSilenceSeconds = 20;

struct Receiver {
  CURL* easy = nullptr;
  std::size_t at_most = 0;
  std::span<std::byte> into;
  Answer answer;
  bool is_too_large = false;
};

void keep(Receiver& receiver, std::span<const std::byte> bytes) {
  Answer& answer = receiver.answer;
  const std::size_t before = answer.size;
  answer.size += bytes.size();
  if (receiver.into.data() != nullptr) {
    std::ranges::copy(bytes, receiver.into.subspan(before).begin());
    return;
  }
  curl_off_t expected = -1;
  curl_easy_getinfo(receiver.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
  if (before == 0 && expected > 0)
    answer.body.reserve(std::min(static_cast<std::size_t>(expected), receiver.at_most));
  answer.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::size_t receive(char* bytes, std::size_t size, std::size_t count, void* target) {
  auto& receiver = *static_cast<Receiver*>(target);
  std::string& body = receiver.answer.body;
  const std::size_t length = size * count;
  if (status_of(receiver.easy) >= 300) {  // what a refusal says beyond its limit is of no interest
    body.append(bytes, std::min(length, kLargestRefusal - std::min(body.size(), kLargestRefusal)));
    return length;
  }
  if (length > receiver.at_most - receiver.answer.size) {
    receiver.is_too_large = true;
    return 0;  // libcurl ends the transfer with CURLE_WRITE_ERROR
  }
  keep(receiver, std::as_bytes(std::span(bytes, length)));
  return length;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lowered;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::size_t receive_header(char* bytes, std::size_t size, std::size_t count, void* target) {
  auto& headers = static_cast<Receiver*>(target)->answer.headers;
  const std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) headers.clear();  // the head of a "100 Continue" came before
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos)
    headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  return line.size();
}

// Reads the payload from where it is.
struct Sender {
  const Pieces& pieces;
  std::size_t piece = 0;
  std::size_t offset = 0;  // in that piece
};

std::size_t send(char* target, std::size_t size, std::size_t count, void* source) {
  auto& sender = *static_cast<Sender*>(source);
  const std::size_t room = size * count;
  std::size_t copied = 0;
  while (copied < room && sender.piece < sender.pieces.size()) {
    const auto left = sender.pieces[sender.piece].subspan(sender.offset);
    const std::size_t length = std::min(room - copied, left.size());
    std::copy_n(reinterpret_cast<const char*>(left.data()), length, target + copied);
    copied += length;
    sender.offset += length;
    if (length == left.size()) ++sender.piece, sender.offset = 0;
  }
  return copied;
}

// libcurl starts again when a connection that it reused turns out to be dead.
int rewind_to(void* source, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
  auto& sender = *static_cast<Sender*>(source);
  sender.piece = sender.offset = 0;
  return CURL_SEEKFUNC_OK;
}

std::uint64_t size_of(const Pieces& pieces) {
  std::uint64_t size = 0;
  for (const auto& piece : pieces) size += piece.size();
  return size;
}

std::string payload_digest(const Pieces& pieces) {
  Sha256 digest;
  for (const auto& piece : pieces) digest.update(piece);
  return digest.hex();
}

bool has_payload(const Exchange& exchange) { return exchange.method == "PUT" || exchange.method == "POST"; }

curl::HeaderList header_list(const Exchange& exchange, const S3Credentials& credentials) {
  curl::HeaderList list;
  append(list, "x-amz-content-sha256: " + payload_digest(exchange.payload));
  if (has_payload(exchange)) append(list, "Content-Type: application/octet-stream");
  if (!credentials.session_token.empty()) append(list, "x-amz-security-token: " + credentials.session_token);
  for (const std::string& line : exchange.header_lines) append(list, line);
  return list;
}

// No limit on the whole: a checkpoint may be large.
void set_pace(CURL* easy) {
  set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(easy, CURLOPT_LOW_SPEED_TIME, kLongestSilenceSeconds);
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  set(easy, CURLOPT_BUFFERSIZE, 256L << 10);
}

void set_signature(CURL* easy, const S3Settings& settings) {
  set(easy, CURLOPT_AWS_SIGV4, ("aws:amz:" + settings.region + ":s3").c_str());  // curl copies strings
  set(easy, CURLOPT_USERNAME, settings.credentials.access_key_id.c_str());
  set(easy, CURLOPT_PASSWORD, settings.credentials.secret_access_key.c_str());
}

void set_method(CURL* easy, const Exchange& exchange, Sender& sender) {
  if (exchange.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (has_payload(exchange)) {
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size_of(exchange.payload)));
    set(easy, CURLOPT_READFUNCTION, &send);
    set(easy, CURLOPT_READDATA, &sender);
    set(easy, CURLOPT_SEEKFUNCTION, &rewind_to);
    set(easy, CURLOPT_SEEKDATA, &sender);
    set(easy, CURLOPT_CUSTOMREQUEST, exchange.method.c_str());
  } else {
    set(easy, CURLOPT_CUSTOMREQUEST, exchange.method.c_str());
  }
}

std::string url_of(const S3Settings& settings, const Exchange& exchange) {
  const std::string path = settings.base_path + "/" + exchange.key;
  const bool is_bucket = exchange.key.empty() && !settings.base_path.empty();
  const std::string encoded = encode_path(is_bucket ? settings.base_path : path);
  return settings.url + encoded + (exchange.query.empty() ? "" : "?" + encode_query(exchange.query));
}

}  // namespace

Exchanger::Exchanger(S3Settings settings)
    : settings_(std::move(settings)), pool_(std::make_unique<curl::EasyPool>(kMostIdle)) {}
Exchanger::~Exchanger() = default;

Result<Answer> Exchanger::perform(const Exchange& exchange) {
  curl::Easy easy = pool_->take();
  const curl::HeaderList headers = header_list(exchange, settings_.credentials);
  const std::size_t at_most = exchange.into.data() == nullptr ? exchange.at_most : exchange.into.size();
  Receiver receiver{easy.get(), at_most, exchange.into, {}, false};
  Sender sender{exchange.payload};
  char detail[CURL_ERROR_SIZE] = "";
  curl::set_safety(easy.get(), kConnectWithin);
  set_pace(easy.get());
  set_signature(easy.get(), settings_);
  set_method(easy.get(), exchange, sender);
  set(easy.get(), CURLOPT_URL, url_of(settings_, exchange).c_str());
  set(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  set(easy.get(), CURLOPT_WRITEFUNCTION, &receive);
  set(easy.get(), CURLOPT_WRITEDATA, &receiver);
  set(easy.get(), CURLOPT_HEADERFUNCTION, &receive_header);
  set(easy.get(), CURLOPT_HEADERDATA, &receiver);
  set(easy.get(), CURLOPT_ERRORBUFFER, detail);

  const CURLcode code = curl_easy_perform(easy.get());
  receiver.answer.status = code == CURLE_OK ? status_of(easy.get()) : 0;
  log(LogLevel::kDebug, "s3 request",
      {{"method", exchange.method},
       {"key", exchange.key},
       {"outcome", code == CURLE_OK ? std::to_string(receiver.answer.status) : curl_easy_strerror(code)}});
  pool_->give_back(std::move(easy));
  if (code == CURLE_OK) return std::move(receiver.answer);
  if (receiver.is_too_large) return Error(ErrorCode::kTooLarge, exchange.key + " is larger than it may be.");
  return Error(ErrorCode::kUnavailable, curl::reason_of(code, detail));
}

}  // namespace ktrdr::s3
