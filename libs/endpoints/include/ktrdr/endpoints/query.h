// The query of a route as a struct and a table of its fields. A row parses, checks and describes one
// parameter; what is absent keeps the struct's own default, which is also what the document says.
//
//   template <> std::vector<QueryField<ListQuery>> query_fields<ListQuery>() {
//     return {one_of("status", &ListQuery::status, "Only those with this status."),
//             whole_number("limit", &ListQuery::limit, {1, 1000}, "How many at most.")};
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/api/openapi.h"
#include "ktrdr/core/result.h"

namespace ktrdr::endpoints {

template <class T>
struct Query {
  T value;
  const T& operator*() const { return value; }
  const T* operator->() const { return &value; }
};

template <class T>
struct QueryField {
  api::ParameterDescription parameter;
  std::function<Result<void>(std::string_view text, T& query)> read;
};

template <class T>
std::vector<QueryField<T>> query_fields();  // one specialisation per struct

struct Range {
  std::int64_t least, most;
};

// One value of the query, checked against the description of its parameter; an error names it.
Result<std::int64_t> read_whole_number(const api::ParameterDescription& parameter, std::string_view text);
Result<bool> read_flag(const api::ParameterDescription& parameter, std::string_view text);
Result<std::string> read_text(const api::ParameterDescription& parameter, std::string_view text);

namespace internal {

inline std::optional<api::JsonText> json_of(std::int64_t value) {
  return api::JsonText{std::to_string(value)};
}
inline std::optional<api::JsonText> json_of(bool value) { return api::JsonText{value ? "true" : "false"}; }
template <class T>
std::optional<api::JsonText> json_of(const std::optional<T>& value) {
  return value ? json_of(*value) : std::nullopt;
}

// A row whose text `read` turns into the member's value.
template <class T, class Member, class Read>
QueryField<T> query_field(api::ParameterDescription parameter, Member T::*member, Read read) {
  parameter.place = "query";
  return {parameter, [parameter, member, read](std::string_view text, T& query) -> Result<void> {
            TRY_ASSIGN(query.*member, read(parameter, text));
            return {};
          }};
}

}  // namespace internal

// `Member` is the number or an optional of it; likewise below.
template <class T, class Member>
QueryField<T> whole_number(std::string name, Member T::*member, Range range, std::string description) {
  return internal::query_field({.name = std::move(name),
                                .description = std::move(description),
                                .type = {.type = "integer",
                                         .minimum = range.least,
                                         .maximum = range.most,
                                         .fallback = internal::json_of(T{}.*member)}},
                               member, read_whole_number);
}

template <class T>
QueryField<T> flag(std::string name, bool T::*member, std::string description) {
  return internal::query_field({.name = std::move(name),
                                .description = std::move(description),
                                .type = {.type = "boolean", .fallback = internal::json_of(T{}.*member)}},
                               member, read_flag);
}

template <class T>
QueryField<T> text(std::string name, std::optional<std::string> T::*member, std::string description) {
  return internal::query_field({.name = std::move(name), .description = std::move(description)}, member,
                               read_text);
}

template <class T>
QueryField<T> one_of_words(std::string name, std::optional<std::string> T::*member,
                           std::vector<std::string> words, std::string description) {
  return internal::query_field(
      {.name = std::move(name), .description = std::move(description), .type = {.words = std::move(words)}},
      member, read_text);
}

// A word of an enum that api::words_of knows.
template <class T, class Enum>
QueryField<T> one_of(std::string name, std::optional<Enum> T::*member, std::string description) {
  return internal::query_field(
      {.name = std::move(name),
       .description = std::move(description),
       .type = {.words = api::words_of<Enum>()}},
      member, [](const api::ParameterDescription& parameter, std::string_view word) -> Result<Enum> {
        TRY(read_text(parameter, word));
        return *api::value_of<Enum>(word);
      });
}

}  // namespace ktrdr::endpoints
