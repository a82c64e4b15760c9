#include "support/bad_requests.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace ktrdr::system_test {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

constexpr int kAny4xx = 0;
constexpr std::size_t kTooLong = 64 * 1024;
constexpr const char* kUnknown = "nobody_has_this_id";
constexpr const char* kPlaceholder = "here stands the wrong value";

// ---- schemas ----

const Json& resolved(const Json& document, const Json& schema) {
  if (!schema.contains("$ref")) return schema;
  return resolved(document, document.at(Pointer(schema["$ref"].get<std::string>().substr(1))));
}

// The alternatives of a schema; itself when there is no choice.
std::vector<Json> alternatives(const Json& document, const Json& schema) {
  for (const char* choice : {"anyOf", "oneOf"}) {
    if (schema.contains(choice)) return schema[choice];
  }
  return {resolved(document, schema)};
}

bool has_type(const Json& schema, const std::string& kind) {
  if (!schema.contains("type")) return true;
  const Json& type = schema["type"];
  const auto is_kind = [&kind](const Json& word) {
    return word == kind || (word == "number" && kind == "integer");
  };
  return type.is_array() ? std::any_of(type.begin(), type.end(), is_kind) : is_kind(type);
}

bool allows(const Json& document, const Json& schema, const std::string& kind) {
  for (const Json& alternative : alternatives(document, schema)) {
    if (has_type(resolved(document, alternative), kind)) return true;
  }
  return false;
}

// A value that the schema allows, with every field that it knows.
Json example(const Json& document, const Json& given, const std::string& name = "") {
  const std::vector<Json> choices = alternatives(document, given);
  const Json& schema = resolved(document, choices.front());
  if (schema.contains("enum")) return schema["enum"].front();
  if (name == "endpoint_url") return "http://10.0.0.1:1";  // from where this registration does not come
  if (schema.contains("properties")) {
    Json object = Json::object();
    for (const auto& [key, value] : schema["properties"].items()) object[key] = example(document, value, key);
    return object;
  }
  if (schema.contains("items")) return Json::array({example(document, schema["items"])});
  if (has_type(schema, "string")) return schema.contains("pattern") ? "1-7" : "x";
  if (has_type(schema, "integer")) return 1;
  return Json::parse(has_type(schema, "boolean") ? "true" : "0.5");
}

struct Field {
  Pointer place;
  Json schema;
  bool is_required = false;
};

// All fields of a body, also those of its objects and of the entries of its lists.
void collect_fields(const Json& document, const Json& given, const Pointer& at, std::vector<Field>& fields) {
  const std::vector<Json> choices = alternatives(document, given);
  const Json& schema = resolved(document, choices.front());
  if (schema.contains("items")) {
    fields.push_back({at / 0, schema["items"]});
    collect_fields(document, schema["items"], at / 0, fields);
  }
  if (!schema.contains("properties")) return;
  const Json required = schema.value("required", Json::array());
  for (const auto& [name, value] : schema["properties"].items()) {
    const bool is_required = std::find(required.begin(), required.end(), name) != required.end();
    fields.push_back({at / name, value, is_required});
    collect_fields(document, value, at / name, fields);
  }
}

// ---- texts ----

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// "/operations/{operation_id}/claim" with an id in place of the capture.
std::string with_id(const std::string& path, const std::string& id) {
  const auto open = path.find('{');
  if (open == std::string::npos) return path;
  return path.substr(0, open) + id + path.substr(path.find('}') + 1);
}

// JSON text, because most of what is tried here is no JSON value.
std::string with_value(const Json& body, const Pointer& place, const std::string& text) {
  Json damaged = body;
  damaged[place] = kPlaceholder;
  return replaced(damaged.dump(), Json(kPlaceholder).dump(), text);
}

std::string with_key_twice(const Json& body, const Pointer& place) {
  const std::string value = body[place].dump();
  return with_value(body, place, value + "," + Json(place.back()).dump() + ":" + value);
}

Json without(Json body, const Pointer& place) {
  body[place.parent_pointer()].erase(place.back());
  return body;
}

// ---- requests ----

class Route {
 public:
  Route(const Json& document, std::string method, std::string path, const Json& operation,
        const Target& target, std::vector<BadRequest>& requests)
      : document_(document),
        method_(std::move(method)),
        path_(std::move(path)),
        operation_(operation),
        target_(target),
        requests_(requests) {}

  void add_all() {
    add_bodies();
    for (const Json& parameter : operation_.value("parameters", Json::array())) add_parameter(parameter);
    add_methods();
    add_credentials();
    add_media();
    add_framing();
    add_sizes();
    add_malformed();
  }

 private:
  std::string name() const { return method_ + " " + path_; }
  std::string there() const {
    return with_id(path_,
                   path_.find("{operation_id}") == std::string::npos ? kUnknown : target_.operation_id);
  }
  std::string nowhere() const { return with_id(path_, kUnknown); }
  std::string credentials() const { return "Authorization: Bearer " + target_.token + "\r\n"; }

  void add(std::string what, std::string bytes, int status) {
    requests_.push_back({name(), std::move(what), std::move(bytes), status});
  }
  // A request line and headers, complete but for what is to be wrong.
  void add_head(std::string what, const std::string& target, const std::string& headers, int status) {
    add(std::move(what),
        method_ + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + credentials() + headers + "\r\n",
        status);
  }
  void add_body(std::string what, const std::string& target, const std::string& body, int status) {
    add(std::move(what),
        method_ + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + credentials() +
            "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            body,
        status);
  }

  // ---- the body ----

  void add_bodies() {
    if (!operation_.contains("requestBody")) return;
    const Json& request = operation_["requestBody"];
    const Json& schema = request["content"]["application/json"]["schema"];
    const Json body = example(document_, schema);
    std::vector<Field> fields;
    collect_fields(document_, schema, Pointer(), fields);
    for (const Field& field : fields) add_field(body, field);
    add_unknown_key(body, Pointer());
    add_whole_bodies(body.dump(), request.value("required", false));
  }

  void add_field(const Json& body, const Field& field) {
    const std::string place = field.place.to_string();
    add_wrong_types(body, field);
    if (field.is_required) add_body(place + " is missing", there(), without(body, field.place).dump(), 400);
    if (!body[field.place.parent_pointer()].is_array())
      add_body(place + " twice", there(), with_key_twice(body, field.place), 400);
    if (body[field.place].is_object() && !body[field.place].empty()) add_unknown_key(body, field.place);
    for (const char* number :
         {"1e999", "-1e999", "NaN", "Infinity", "-Infinity", "01", "0x10", "+1", ".5", "'x'"}) {
      add_body(place + " is " + number, there(), with_value(body, field.place, number), 400);
    }
    for (const char* value :
         {"-1", "9223372036854775808", "-9223372036854775809", "18446744073709551616", R"("\u0000")", "\"\"",
          R"("../../etc/passwd")", R"("1-99999999999999999999")"}) {
      add_body(place + " is " + value, nowhere(), with_value(body, field.place, value), kAny4xx);
    }
    add_body(place + " is too long", nowhere(),
             with_value(body, field.place, Json(std::string(kTooLong, 'a')).dump()), kAny4xx);
    for (const char* bytes : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", R"("\ud800")"}) {
      add_body(place + " is not UTF-8", there(), with_value(body, field.place, bytes), 400);
    }
    for (const auto& [open, close] : {std::pair("[", "]"), std::pair(R"({"a":)", "}")}) {
      std::string deep = "1";
      for (int level = 0; level < 1000; ++level) deep = open + deep + close;
      add_body(place + " is 1000 levels deep", there(), with_value(body, field.place, deep), 400);
    }
  }

  void add_wrong_types(const Json& body, const Field& field) {
    const std::map<std::string, std::string> values = {
        {"string", "\"text\""}, {"integer", "7"}, {"number", "0.5"}, {"boolean", "true"},
        {"null", "null"},       {"array", "[]"},  {"object", "{}"}};
    for (const auto& [kind, value] : values) {
      if (allows(document_, field.schema, kind)) continue;
      add_body(field.place.to_string() + " is " + value, there(), with_value(body, field.place, value), 400);
    }
  }

  void add_unknown_key(Json body, const Pointer& place) {
    body[place]["no_such_key"] = 1;
    add_body(place.to_string() + " has an unknown key", there(), body.dump(), 400);
  }

  void add_whole_bodies(const std::string& body, bool is_required) {
    add_body("no body", is_required ? there() : nowhere(), "", is_required ? 400 : kAny4xx);
    for (const char* other : {"[]", "1", "null", "\"x\"", "true", "{", "}", "{}{}", "{}x", "{,}", "{\"a\"}",
                              "\xff", " ", "{\"\":1}"}) {
      add_body("the body is " + std::string(other), there(), other, 400);
    }
    for (std::size_t eighth = 1; eighth < 8; ++eighth) {
      add_body("the body is cut", there(), body.substr(0, std::max<std::size_t>(1, body.size() * eighth / 8)),
               400);
    }
    add_body("the body holds a NUL", there(), body + std::string(1, '\0'), 400);
    add_body("the body is a thousand brackets", there(), std::string(1000, '['), 400);
  }

  // ---- parameters ----

  void add_parameter(const Json& parameter) {
    const std::string place = parameter["in"], name = parameter["name"];
    if (place == "path") add_ids();
    if (place == "query") add_query(name, parameter["schema"]);
    if (place == "header") add_header(name);
  }

  void add_ids() {
    for (const std::string id :
         {"..",  ".",     "%2e%2e", "%2E", "a%00b", "%00", "OP",    "a%2fb", "a%5cb",          "a%0ab",
          "%ff", "%252e", "%",      "%4",  "%zz",   "a.b", "a%20b", "a+b",   "{operation_id}", ""}) {
      add_head("the id is " + id, with_id(path_, id), "", kAny4xx);
    }
    add_head("the id has 65 characters", with_id(path_, std::string(65, 'a')), "", 400);
    add_head("the id has 64 k characters", with_id(path_, std::string(kTooLong, 'a')), "", 414);
  }

  void add_query(const std::string& name, const Json& schema) {
    std::vector<std::string> values = {"%ff", "%00", "%0a", "%", "x&" + name + "=x"};
    if (!has_type(schema, "string") || schema.contains("enum")) {
      values.insert(values.end(), {"", "x", "-1", "1.5", "1e3", "+1", "0x1", "%201", "9223372036854775808",
                                   "1e999", "NaN", "null", "[]", "TRUE", "1%002"});
    }
    if (name == "cursor" || name == "worker_id")
      values.insert(values.end(), {"", "..", "x,y", "%2e%2e", "OP", ","});
    if (schema.contains("minimum")) values.push_back(std::to_string(schema["minimum"].get<long>() - 1));
    if (schema.contains("maximum")) values.push_back(std::to_string(schema["maximum"].get<long>() + 1));
    for (const std::string& value : values)
      add_head("?" + name + "=" + value, there() + "?" + name + "=" + value, "", 400);
    add_head("?" + name + " is too long", there() + "?" + name + "=" + std::string(kTooLong, 'a'), "", 414);
  }

  void add_header(const std::string& name) {
    for (const std::string& value :
         {std::string("\xff"), std::string("a b"), std::string(), std::string(129, 'a')}) {
      add_head(name + " is '" + value + "'", there(), name + ": " + value + "\r\n", 400);
    }
    if (name == "If-Match") {
      for (const char* value :
           {"new", "-1", "1.5", "\"1", "*", "W/\"1\"", "9223372036854775808", "\"\"", "1,2"}) {
        add_head(name + " is " + value, there(), name + ": " + value + "\r\n", 400);
      }
    }
    add_head(name + " is too long", there(), name + ": " + std::string(kTooLong, '1') + "\r\n", 431);
  }

  // ---- what every route must refuse ----

  void add_methods() {
    const Json& path = document_["paths"][path_];
    for (const char* method : {"get", "post", "put", "patch", "delete", "OPTIONS", "TRACE", "BREW"}) {
      if (path.contains(method) || is_route_of_a_capture(method)) continue;
      std::string word = method;
      std::transform(word.begin(), word.end(), word.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      add("method " + word,
          word + " " + there() + " HTTP/1.1\r\nHost: localhost\r\n" + credentials() + "\r\n", 405);
    }
  }

  // "/checkpoints/stats" is also the place of an operation that is called stats.
  bool is_route_of_a_capture(const std::string& method) const {
    const auto parent = path_.substr(0, path_.rfind('/'));
    for (const char* capture : {"/{operation_id}", "/{worker_id}"}) {
      const auto other = document_["paths"].find(parent + capture);
      if (other != document_["paths"].end() && other->contains(method)) return true;
    }
    return false;
  }

  void add_credentials() {
    const auto send = [this](std::string what, const std::string& headers, int status) {
      add(std::move(what), method_ + " " + there() + " HTTP/1.1\r\n" + headers + "\r\n", status);
    };
    const std::string host = "Host: localhost\r\n";
    const bool needs_token = !operation_.value("security", Json::array()).empty();
    if (needs_token) {
      send("no token", host, 401);
      send("a wrong token", host + "Authorization: Bearer wrong\r\n", 401);
      send("half a token", host + "Authorization: Bearer " + target_.token.substr(0, 8) + "\r\n", 401);
      send("another scheme", host + "Authorization: Basic " + target_.token + "\r\n", 401);
      send("two tokens", host + credentials() + credentials(), 401);
    }
    send("no Host", credentials(), 400);
    send("two Hosts", host + host + credentials(), 400);
    for (const char* other :
         {"evil.test", "localhost.evil.test", "localhost:99999999", "127.0.0.1@evil.test", "[::1"}) {
      send("Host is " + std::string(other), "Host: " + std::string(other) + "\r\n" + credentials(), 403);
    }
    for (const char* origin : {"http://evil.test", "null", "https://localhost:1", "file://"}) {
      send("Origin is " + std::string(origin), host + credentials() + "Origin: " + origin + "\r\n", 403);
    }
  }

  void add_media() {
    for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                             "application/jsonx", "application/json; charset=latin1"}) {
      add_head("a body of type " + std::string(type), there(),
               "Content-Type: " + std::string(type) + "\r\nContent-Length: 2\r\n", 415);
    }
    add_head("a body of no type", there(), "Content-Length: 2\r\n", 415);
    add_head("a packed body", there(),
             "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n", 415);
    add_head("an unknown expectation", there(), "Expect: a miracle\r\n", 417);
  }

  // Two readers that disagree on where a request ends let one smuggle a request past the other.
  void add_framing() {
    const std::string json = "Content-Type: application/json\r\n";
    for (const char* framing :
         {"Content-Length: 2\r\nContent-Length: 5", "Content-Length: 2\r\nContent-Length: 2",
          "Content-Length: 2, 2", "Content-Length: 2\r\nTransfer-Encoding: chunked",
          "Transfer-Encoding: chunked\r\nContent-Length: 2",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
          "Transfer-Encoding: identity", "Transfer-Encoding: xchunked", "Content-Length: -1",
          "Content-Length: +2", "Content-Length: 0x2", "Content-Length: ", "Content-Length : 2",
          "Content-Length: 99999999999999999999"}) {
      add_head(framing, there(), json + framing + "\r\n", kAny4xx);
    }
    add("chunked in HTTP/1.0",
        method_ + " " + there() + " HTTP/1.0\r\nHost: localhost\r\n" + credentials() + json +
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400);
    for (const char* chunk : {"zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "2\r\n{}x\r\n0\r\n\r\n",
                              "2\r\n{}\r\n\r\n0\r\n\r\n"}) {
      add("a broken chunk",
          method_ + " " + nowhere() + " HTTP/1.1\r\nHost: localhost\r\n" + credentials() + json +
              "Transfer-Encoding: chunked\r\n\r\n" + chunk,
          kAny4xx);
    }
  }

  void add_sizes() {
    add_head("a header of 20 k", there(), "X-Padding: " + std::string(20'000, 'x') + "\r\n", 431);
    std::string many;
    for (int i = 0; i < 2000; ++i) many += "X: y y y y\r\n";
    add_head("2000 headers", there(), many, 431);
    add_head("a body of 100 GB", there(),
             "Content-Type: application/json\r\nContent-Length: 100000000000\r\n", 413);
    add_head("a path of 64 k", "/" + std::string(kTooLong, 'a'), "", 414);
  }

  void add_malformed() {
    const std::string rest = "\r\nHost: localhost\r\n" + credentials() + "\r\n";
    for (const std::string& line :
         {method_, method_ + " ", method_ + " " + there(), method_ + " " + there() + " HTTP/9.9",
          method_ + " " + there() + " HTTP/2", method_ + "\t" + there() + " HTTP/1.1",
          " " + method_ + " " + there() + " HTTP/1.1", method_ + " http://localhost" + there() + " HTTP/1.1",
          method_ + " " + there().substr(1) + " HTTP/1.1", method_ + " " + there() + "#x HTTP/1.1",
          method_ + " /.." + there() + " HTTP/1.1"}) {
      add("the line " + line, line + rest, kAny4xx);
    }
    for (const std::string& header : {std::string("X\r\n"), std::string(": y\r\n"), std::string("X Y: z\r\n"),
                                      std::string("X: a\0b\r\n", 9), std::string("X\x01: y\r\n")}) {
      add_head("the header " + header, there(), header, 400);
    }
  }

  const Json& document_;
  const std::string method_, path_;
  const Json& operation_;
  const Target& target_;
  std::vector<BadRequest>& requests_;
};

std::string upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

}  // namespace

std::vector<BadRequest> bad_requests(const Json& document, const Target& target) {
  std::vector<BadRequest> requests;
  for (const auto& [path, operations] : document.at("paths").items()) {
    for (const auto& [method, operation] : operations.items()) {
      Route(document, upper_case(method), path, operation, target, requests).add_all();
    }
  }
  return requests;
}

std::vector<std::string> routes_of(const Json& document) {
  std::vector<std::string> routes;
  for (const auto& [path, operations] : document.at("paths").items()) {
    for (const auto& [method, operation] : operations.items())
      routes.push_back(upper_case(method) + " " + path);
  }
  return routes;
}

}  // namespace ktrdr::system_test
